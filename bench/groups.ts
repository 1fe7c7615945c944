import { rm } from "node:fs/promises";
import { join } from "node:path";
import { EMBEDDED_MODEL, PACK_FOLDER } from "../src/pipelines/mod.ts";
import { type Comparison, type Context, compare } from "./compare.ts";
import { type FilmsFound, measureFilms } from "./films.ts";
import { type Full, full } from "./full/measure.ts";
import { publishedBytes } from "./full/published.ts";
import type { PeakResult, UNetResult } from "./jobs.ts";
import { median } from "./measure.ts";
import { type Cold, coldStarts } from "./nano.ts";
import { visitOurs } from "./processes.ts";
import type { Scale } from "./scale.ts";
import { type Scaling, scaling } from "./scaling/measure.ts";
import { type Train, train } from "./train/measure.ts";
import { partSize, writePart } from "./weights.ts";

/** What a run of the program found; a group that was not asked for is absent. */
export interface Found {
  peak?: { readonly flopsPerSecond: number; readonly rows: readonly PeakResult[] };
  unet?: Comparison<"unet"> & { readonly firstLoad: UNetResult; readonly float32Bytes: number };
  movq?: Comparison<"movq">;
  text?: Comparison<"text">;
  nano?: Comparison<"nano"> & { readonly cold: Cold };
  scaling?: Scaling;
  train?: Train;
  full?: Full;
  films?: FilmsFound;
}

export type GroupName = keyof Found;

interface Group<G extends GroupName> {
  /** Bytes on disk while it is measured. */
  readonly diskBytes: (scale: Scale) => number;
  /** Left out where no group is named. */
  readonly onlyByName?: true;
  readonly run: (context: Context) => Promise<NonNullable<Found[G]>>;
}

const HALF = 2;
const SINGLE = 4;
/** Inputs, outputs and the weights of the peak. */
const SCRATCH_BYTES = 3e8;

/** In the order in which they run: the others are told as a share of the peak. */
export const GROUPS: { readonly [G in GroupName]: Group<G> } = {
  peak: { diskBytes: () => SCRATCH_BYTES, run: peak },
  unet: { diskBytes: (scale) => (HALF + SINGLE) * partSize(scale, "unet"), run: unet },
  movq: { diskBytes: (scale) => (HALF + SINGLE) * partSize(scale, "movq"), run: movq },
  text: { diskBytes: (scale) => HALF * partSize(scale, "text_encoder"), run: text },
  nano: { diskBytes: () => SCRATCH_BYTES, run: nano },
  train: { diskBytes: () => SCRATCH_BYTES, run: train },
  scaling: { diskBytes: () => 0, run: scaling },
  full: { diskBytes: fullBytes, run: full, onlyByName: true },
  films: {
    diskBytes: () => SCRATCH_BYTES,
    run: ({ scale, scratch, tell }) => measureFilms(scale.films, scratch, tell),
  },
};

/** The files, and at most all of the U-Net and the MoVQ prepared as float32. */
function fullBytes(scale: Scale): number {
  return publishedBytes(scale) + SINGLE * (partSize(scale, "unet") + partSize(scale, "movq"));
}

async function peak({ scale, scratch, model, threads, tell, signal }: Context) {
  const [inputs, outputs] = [join(scratch, "none"), join(scratch, "peak-none")];
  const job = { kind: "peak" as const, model, inputs, outputs, threads, cases: scale.peak };
  const rows = await visitOurs(job, (line) => tell(`peak: ${line}`), signal);
  return {
    flopsPerSecond: Math.max(...rows.map(({ flops, seconds }) => flops / Math.min(...seconds))),
    rows,
  };
}

async function unet(context: Context) {
  const { model, scale, tell, signal } = context;
  await writePart(model, scale, "unet", tell, signal);
  // What an earlier run kept would make the first load a later one.
  await rm(join(model, PACK_FOLDER), { recursive: true, force: true });
  const cases = [{ ...scale.unet[0]!, repeats: 0 }];
  const first = await compare({ ...context, python: undefined }, "unet", cases, () => 0);
  const comparison = await compare(context, "unet", scale.unet, perStepSeconds);
  return { ...comparison, firstLoad: first.rows[0]!.ours, float32Bytes: SINGLE * partSize(scale, "unet") };
}

/** Seconds a step, with its share of the prologue: what diffusers computes again in each step. */
export function perStepSeconds({ prologueSeconds, seconds, steps }: UNetResult): number {
  return median(prologueSeconds) / steps + median(seconds);
}

async function movq(context: Context) {
  await writePart(context.model, context.scale, "movq", context.tell, context.signal);
  return compare(context, "movq", context.scale.movq, ({ seconds }) => median(seconds));
}

async function text(context: Context) {
  await writePart(context.model, context.scale, "text_encoder", context.tell, context.signal);
  return compare(context, "text", context.scale.text, ({ seconds }) => median(seconds));
}

async function nano(context: Context) {
  const comparison = await compare(
    context,
    "nano",
    context.scale.nano,
    ({ seconds }) => median(seconds),
    EMBEDDED_MODEL,
  );
  return { ...comparison, cold: await coldStarts(context) };
}
