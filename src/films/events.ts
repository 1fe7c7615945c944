import type { Picture } from "../image/mod.ts";
import type { GenerateEvent } from "../pipelines/mod.ts";

/** What making a film tells, in order. */
export type FilmEvent =
  /** `done` frames were there already. */
  | { readonly type: "start"; readonly frames: number; readonly drawn: number; readonly done: number }
  /** What the model tells of drawing a frame, but for the picture. */
  | {
      readonly type: "drawing";
      readonly frame: number;
      readonly event: Exclude<GenerateEvent, { type: "picture" }>;
    }
  /** The model has drawn a frame; `file` holds it. */
  | { readonly type: "drawn"; readonly frame: number; readonly file: string; readonly picture: Picture }
  /** A frame of the film is there. */
  | { readonly type: "frame"; readonly frame: number; readonly file: string }
  /** A small film of what is there so far. */
  | { readonly type: "preview"; readonly file: string; readonly frames: number }
  | { readonly type: "film"; readonly file: string; readonly frames: number };
