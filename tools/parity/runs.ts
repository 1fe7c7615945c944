import { existsSync } from "node:fs";
import { join } from "node:path";
import {
  evaluationTimes,
  planLadder,
  SAMPLERS,
  type SamplerName,
  type SamplerState,
} from "../../src/diffusion/mod.ts";
import { pictureFromTensor } from "../../src/image/mod.ts";
import {
  type Conditioning,
  contextOf,
  type DenoisingSettings,
  denoiserOfNetwork,
  encodeText,
  evaluatorOf,
  MAX_TOKENS,
  networkOfTiles,
  type PreparedUNet,
  type TextPlan,
  unetMasks,
  wholeLayout,
} from "../../src/pipelines/mod.ts";
import { row, type Tensor } from "../../src/tensor/mod.ts";
import { type Context, entryOf, int32, type LoadedModel, stack } from "./context.ts";
import type { Fixture } from "./fixture.ts";
import { comparePicture } from "./pictures.ts";
import { EXACT } from "./report.ts";

/** Of a single native step; a free run adds up the rounding of all. From the golden data's README. */
export const STEP = { name: "native-step", abs: 2e-3, rel: 0 };

export interface RunOptions {
  readonly plan: TextPlan;
  readonly sampler: SamplerName;
  readonly steps: number;
  /** To begin with, at the level where the ladder is entered. */
  readonly start: Tensor<"float32">;
  /** Of image-to-image. */
  readonly strength?: number;
  /** What a U-Net for inpainting gets beside the latent, [1,5,h,w]. */
  readonly extra?: Tensor<"float32">;
  readonly nullEmbedding: Float32Array | undefined;
  readonly settings: Omit<DenoisingSettings, "sampler">;
}

/** What `Kandinsky3.generate` does with one batch, with stored noise, and with what happens inside open to view. */
export async function startRun(
  { workshop }: Context,
  { opened, unet }: Pick<LoadedModel, "opened" | "unet">,
  fixture: Fixture,
  { plan, sampler, steps, start: x, strength, extra, nullEmbedding, settings }: RunOptions,
) {
  const { text, scheduler } = opened;
  const hidden = await encodeText(workshop, text.part, text.config, plan);
  const context = await contextOf(unet, plan, hidden, settings.profile, nullEmbedding);
  const ladder = planLadder(sampler, scheduler, { steps, spacing: "uniform", strength });
  const [, , height, width] = x.shape as [number, number, number, number];
  const halves = [...plan.unconditional, ...plan.conditional];
  const times = evaluationTimes(ladder);
  const prepared: PreparedUNet = await unet.prepare({
    context,
    ...unetMasks(halves, plan.paddedLength, settings.profile),
    times,
    height,
    width,
  });
  const noise = fixture.float32("noise");
  const { tiles, ...layout } = wholeLayout(
    plan.conditional.map(() => ({ prompt: "" })),
    { width, height },
  );
  const network = networkOfTiles(
    { ...layout, tiles },
    [{ tiles, evaluate: evaluatorOf(prepared, plan) }],
    extra,
  );
  const guided = plan.unconditional.length > 0;
  const denoiser = denoiserOfNetwork(network, guided, { ...settings, sampler }, scheduler);
  const runFrom = (state: SamplerState) =>
    SAMPLERS[sampler].run(denoiser, state, ladder, (index) => entryOf(noise, index));
  return {
    hidden,
    context,
    times,
    prepared,
    /** The latents after each step. */
    draw: async () => {
      const states: Tensor<"float32">[] = [];
      for await (const step of runFrom({ index: 0, x })) states.push(step.x);
      return states;
    },
    /** The same, but each step begins with the stored latent before it. */
    drawFromStored: async (stored: Tensor<"float32">) => {
      const states: Tensor<"float32">[] = [];
      for (const index of times.keys()) {
        const before = index === 0 ? x : entryOf(stored, index - 1);
        for await (const step of runFrom({ index, x: before })) {
          states.push(step.x);
          break;
        }
      }
      return states;
    },
  };
}

export function settingsOf(
  profile: DenoisingSettings["profile"],
  guidance: number,
  threshold: number | undefined,
): Omit<DenoisingSettings, "sampler"> {
  return { profile, guidance, guidanceRescale: 0, guidanceInterval: undefined, threshold, clip: undefined };
}

export function compareIds(
  { report }: Context,
  name: string,
  plan: TextPlan,
  halves: readonly Conditioning[],
  wanted: readonly (readonly number[])[] | null | undefined,
): void {
  wanted?.forEach((theirs, k) => {
    const at = halves[k]?.row;
    const mine = at === undefined ? [] : plan.rows[at]!.ids;
    report.compare(`${name} ${k}`, EXACT, int32([mine.length], mine), int32([theirs.length], theirs));
  });
}

/** The first `length` rows of every text in [B,L,D]. */
export function cutRows(t: Tensor<"float32">, length: number): Tensor<"float32"> {
  const [batch, full, width] = t.shape as [number, number, number];
  const parts = Array.from({ length: batch }, (_, k) => {
    const from = k * full * width;
    return { ...t, shape: [length, width], data: t.data.subarray(from, from + length * width) };
  });
  return stack(parts);
}

/** Masks [B,L] of the halves as diffusers and the original store them. */
export function maskOf(halves: readonly Conditioning[], length: number): Tensor<"int32"> {
  const values = halves.flatMap(({ attended }) => Array.from({ length }, (_, i) => (i < attended ? 1 : 0)));
  return int32([halves.length, length], values);
}

export function padded(list: readonly number[]): Tensor<"int32"> {
  return int32([MAX_TOKENS], [...list, ...new Array<number>(MAX_TOKENS - list.length).fill(0)]);
}

export function expectThere(fixture: Fixture, seen: Readonly<Record<string, Tensor>>): void {
  for (const [name, tensor] of Object.entries(seen)) if (fixture.has(name)) fixture.expect(name, tensor);
}

/** The guide of the golden data's README for stored pictures; diffusers rounds, the original truncates (trap 8). */
const PICTURES = {
  nearest: { name: "picture", largest: 4, mean: 0.5 },
  truncate: { name: "picture-native", largest: 10, mean: 0.5 },
} as const;

export async function comparePictures(
  context: Context,
  name: string,
  { movq }: Pick<LoadedModel, "movq">,
  latents: Tensor<"float32">,
  rounding: keyof typeof PICTURES,
): Promise<void> {
  for (let k = 0; k < latents.shape[0]!; k++) {
    const file = `pipelines/${name}.${k}.png`;
    if (!existsSync(join(context.folder, file))) continue;
    const picture = pictureFromTensor(await movq.decode(row(latents, k)), rounding);
    await comparePicture(context, file, picture, PICTURES[rounding]);
  }
}
