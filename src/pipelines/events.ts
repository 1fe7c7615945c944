import type { SamplerState } from "../diffusion/mod.ts";
import type { Picture, PictureMetadata } from "../image/mod.ts";
import type { MemoryPeak } from "../runtime/mod.ts";
import type { Job, PictureJob } from "./job.ts";
import type { JobPlan } from "./plan-job.node.ts";

/** What a run is busy with. */
export type Stage = "load" | "read" | "encode" | "prepare" | "denoise" | "decode";

/** Something a person should know, which does not stop the run. */
export type Notice =
  | { readonly notice: "prompt-empty"; readonly picture: number }
  | {
      readonly notice: "prompt-cut";
      readonly picture: number;
      readonly tokens: number;
      readonly limit: number;
    }
  | {
      readonly notice: "prompt-unknown";
      readonly picture: number;
      readonly unknown: readonly string[];
      readonly characters: number;
    }
  /** The model has a list of what it was taught to draw, and none of these subjects is in the prompt. */
  | {
      readonly notice: "prompt-outside";
      readonly picture: number;
      readonly subjects: number;
      readonly folder: string;
    }
  /** The mask had another size than the picture, both as WxH. */
  | { readonly notice: "mask-resized"; readonly from: string; readonly to: string }
  /** How known pixels are kept: by a U-Net made for it, or by blending where the model has none. */
  | { readonly notice: "inpainting"; readonly by: "nine-channels" | "blending" }
  | { readonly notice: "guidance-off"; readonly guidance: number; readonly profile: string };

/** Where a run stands: enough to go on from here in another process. */
export interface RunState {
  /** Of the model that draws: another one could not go on. */
  readonly fingerprint: string;
  readonly job: Job;
  /** Pictures that are done, by index. */
  readonly done: readonly number[];
  /** The pictures under way, and their sampler's state, rows in the order of `pictures`. */
  readonly current?: { readonly pictures: readonly number[]; readonly sampler: SamplerState };
}

/** What a run tells while it goes on, in order. */
export type GenerateEvent =
  | { readonly type: "start"; readonly job: Job }
  | ({ readonly type: "notice" } & Notice)
  /** How the job will run; small ones have no plan. */
  | { readonly type: "plan"; readonly plan: JobPlan }
  /** The most memory that this process and the engine's took, at the end; absent where the system does not tell. */
  | ({ readonly type: "memory" } & MemoryPeak)
  /** A packed copy of a model part is written once: `bytes` in all. */
  | {
      readonly type: "pack";
      readonly part: string;
      readonly doneBytes: number;
      readonly bytes: number;
      readonly file: string;
    }
  | { readonly type: "stage"; readonly stage: Stage; readonly pictures: readonly number[] }
  /**
   * Of the texts of these pictures, how many were read in an earlier run and how many the text encoder reads now;
   * where it has none to read it is not loaded.
   */
  | {
      readonly type: "texts";
      readonly pictures: readonly number[];
      readonly known: number;
      readonly encoded: number;
    }
  | {
      readonly type: "step";
      readonly pictures: readonly number[];
      /** 0 to total - 1. */
      readonly index: number;
      readonly total: number;
      readonly seconds: number;
      /** Rough colours of the picture so far, at latent size, one each. */
      readonly previews: readonly Picture[];
      readonly state: RunState;
    }
  | {
      readonly type: "picture";
      readonly job: PictureJob;
      readonly picture: Picture;
      readonly metadata: PictureMetadata;
      /** The raw decode [1,3,H,W], about [-1,1]. */
      readonly state: RunState;
    };
