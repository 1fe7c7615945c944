import type { Comparison, Row } from "./compare.ts";
import type { Full } from "./full/measure.ts";
import { type Found, type GroupName, perStepSeconds } from "./groups.ts";
import type { Kind, PeakMemory, Work } from "./jobs.ts";
import { median } from "./measure.ts";
import { scalingLines } from "./scaling/lines.ts";
import type { Train } from "./train/measure.ts";

/** Text for one group; `all` has the peak if it was measured. */
type Lines<G extends GroupName> = (found: NonNullable<Found[G]>, all: Found) => string[];

/** What a person reads of each group. */
const LINES: { readonly [G in GroupName]: Lines<G> } = {
  peak: ({ flopsPerSecond, rows }) => [
    `Peak of this machine: ${giga(flopsPerSecond)} GFLOP/s`,
    ...rows.map(
      ({ name, flops, seconds, peakPrivateBytes }) =>
        `  ${giga(flops / Math.min(...seconds)).padStart(6)} GFLOP/s  ${name}; at most ${gb(peakPrivateBytes)} private`,
    ),
  ],
  unet: ({ firstLoad, float32Bytes, rows, failure }, all) => [
    "U-Net, F16 files with seeded weights",
    `  first load ${each(firstLoad.readySeconds)}, ${gb(firstLoad.packedBytes)} packed; peak memory of both processes ${gb(firstLoad.peakBytes)}, ${(firstLoad.peakBytes / float32Bytes).toFixed(2)} of the float32 size`,
    ...rows.flatMap((row) => unetLines(row, all)),
    ...failureLine(failure),
  ],
  movq: ({ rows, failure }, all) => [
    "MoVQ, F16 files with seeded weights",
    ...rows.flatMap(({ ours, ...peer }) => [
      `  ${ours.name}: ${s(median(ours.seconds))}; from nothing to the first result ${each(ours.firstSeconds)}${ours.packedBytes > 0 ? `, with packing ${gb(ours.packedBytes)}` : ""}`,
      ...workLines(ours, ours.executedFlops, median(ours.seconds), all),
      ...memoryLines(ours),
      ...peerLines(peer),
    ]),
    ...failureLine(failure),
  ],
  text: ({ rows, failure }, all) => [
    "Text encoder, F16 files with seeded weights",
    ...rows.flatMap(({ ours, ...peer }) => [
      `  ${ours.name}: ${s(median(ours.seconds))}; with loading the weights, as each picture does, ${s(median(ours.wholeSeconds))}`,
      ...workLines(ours, ours.executedFlops, median(ours.seconds), all),
      ...memoryLines(ours),
      ...peerLines(peer),
    ]),
    ...failureLine(failure),
  ],
  full: (found) => fullLines(found),
  nano: ({ rows, cold, failure }) => [
    "Nano model, one picture",
    ...rows.flatMap(({ ours, ...peer }) => [
      `  warm, ${ours.name}: ${s(median(ours.seconds))}`,
      ...memoryLines(ours),
      ...peerLines(peer, "levels of 255"),
    ]),
    `  cold, the whole command line: ${s(median(cold.seconds))}${cold.diffusersSeconds === undefined ? "" : `; a Python process with diffusers ${s(median(cold.diffusersSeconds))}, ratio ${(median(cold.diffusersSeconds) / median(cold.seconds)).toFixed(2)}`}`,
    ...failureLine(failure),
  ],
  scaling: scalingLines,
  films: ({ encode, side, warpSeconds, animations, zoom }) => [
    `Films, ${side}x${side}`,
    ...encode.map(
      ({ format, frames, framesPerSecond, residentBytes }) =>
        `  ${format}, ${frames} frames: ${framesPerSecond.toFixed(1)} frames/s, resident memory at the end ${gb(residentBytes)}`,
    ),
    `  3-D warp of a frame: ${(1000 * median(warpSeconds)).toFixed(1)} ms`,
    ...animations.map(
      ({ name, flicker, worstFlicker, drift, lastDrift }) =>
        `  nano, ${name}: difference after motion ${flicker.toFixed(2)} of 255 (worst ${worstFlicker.toFixed(2)}), colour drift ${drift.toFixed(2)} (last ${lastDrift.toFixed(2)})`,
    ),
    `  nano, zoom: measured scale within ${(100 * zoom.worstScale).toFixed(2)} % of the one asked for; at key frames ${zoom.jump.toFixed(2)} of the median difference, ${zoom.localJump.toFixed(2)} of that around`,
  ],
  train: trainLines,
};

function fullLines({ plan, group, ...found }: Full): string[] {
  const { limitBytes, side, steps, stepSeconds, stages, residentBytes } = found;
  const place =
    typeof group === "string"
      ? `WITHOUT a control group (${group}): the limit was planned for but not enforced`
      : `in a control group (version ${group.version}) of ${gib(limitBytes)} without swap`;
  const most = typeof group === "string" ? [] : [usageLine(group)];
  return [
    `The whole pipeline, prompt to PNG at ${side}x${side}, ${steps} steps with guidance, ${place}`,
    ...plan.stages.map(
      ({ stage, dtype, expectedBytes, weightBytes, rereads, beside }) =>
        `  plan: ${stage.padEnd(11)} weights ${dtype}, ${gb(weightBytes)} mapped${rereads ? ", read again each step" : ""}; ${gb(expectedBytes)} private expected${beside.length > 0 ? `, ${beside.join(" and ")} loaded beside` : ""}`,
    ),
    `  ${s(found.seconds)} in all, ${found.packedBytes > 0 ? `${s(found.packSeconds)} of it preparing ${gb(found.packedBytes)} once` : "nothing to prepare"}; files ${found.startsCold ? "cold" : "perhaps cached"} at the start`,
    `  a step ${s(median(stepSeconds))} (first ${s(stepSeconds[0]!)}, slowest ${s(Math.max(...stepSeconds))})`,
    ...stages.map(
      ({ stage, seconds, privateBytes }) =>
        `  ${stage.padEnd(8)} ${s(seconds).padStart(7)}, at most ${gb(privateBytes)} private`,
    ),
    `  memory: at most ${gb(found.privateBytes)} private (RssAnon, ${found.looksPerSecond.toFixed(0)} looks a second; ${gb(found.toldPrivateBytes)} by the program's own looks), VmHWM ${residentBytes.map(gb).join(" + ")}`,
    ...most,
  ];
}

function usageLine({ maxBytes, ended }: Exclude<Full["group"], string>): string {
  const used = maxBytes === undefined ? "" : ` ${gib(maxBytes)} at most, cached files included`;
  return `  control group:${used}${ended === undefined ? "" : `; ${ended} processes ended for lack of memory`}`;
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}

function trainLines({ rows, allocator, failure }: Train): string[] {
  return [
    "Training step of the nano U-Net: AdamW, clipping, an average of the weights",
    ...rows.flatMap(({ ours, torch, ratios, worstLoss }) => {
      const rate = (seconds: readonly number[]) => (ours.batch / median(seconds)).toFixed(1);
      const own = `  ${ours.name}: ${rate(ours.seconds)} samples/s, ${gb(ours.peakBytes)} at most in both processes`;
      if (torch === undefined || ratios === undefined || worstLoss === undefined) return [own];
      return [
        own,
        `    PyTorch (channels_last, ${allocator ?? "no caching allocator found"}): ${rate(torch.seconds)} samples/s, ${gb(torch.peakBytes)}; ours is ${ratios.map((ratio) => ratio.toFixed(2)).join(", ")} times as fast; losses differ by ${worstLoss.toExponential(1)}`,
      ];
    }),
    ...failureLine(failure),
  ];
}

/** All groups that were measured, as lines. */
export function linesOf(found: Found): string[] {
  return (Object.keys(found) as GroupName[]).flatMap((name) => {
    const lines = LINES[name] as Lines<GroupName>;
    return [...lines(found[name]!, found), ""];
  });
}

function unetLines({ ours, ...peer }: Row<"unet">, all: Found): string[] {
  const { steps, referenceFlops, executedFlops, prologueFlops } = ours;
  const perStep = perStepSeconds(ours);
  const step = median(ours.seconds);
  const what = steps === 1 ? "prologue and one pass" : `per step of a ${steps}-step picture`;
  return [
    `  ${ours.name}: ${what} ${s(perStep)}`,
    `    later load: ready ${each(ours.readySeconds)} after the start, ${gb(ours.readyPrivateBytes)} private${ours.packedBytes > 0 ? `, ${gb(ours.packedBytes)} packed` : ""}`,
    `    prologue of ${steps} ${s(median(ours.prologueSeconds))} (${giga(prologueFlops)} GFLOP); step ${s(step)}: ${speed(executedFlops / step, all)}`,
    ...workLines({ referenceFlops }, prologueFlops / steps + executedFlops, perStep, all),
    ...memoryLines(ours),
    ...peerLines(peer),
  ];
}

function workLines(
  { referenceFlops }: Pick<Work, "referenceFlops">,
  executedFlops: number,
  seconds: number,
  all: Found,
): string[] {
  return [
    `    the model's ${giga(referenceFlops)} GFLOP: ${speed(referenceFlops / seconds, all)}; executed ${giga(executedFlops)} GFLOP: ${speed(executedFlops / seconds, all)}`,
  ];
}

function speed(flopsPerSecond: number, { peak }: Found): string {
  const share =
    peak === undefined ? "" : ` (${((100 * flopsPerSecond) / peak.flopsPerSecond).toFixed(0)} % of the peak)`;
  return `${giga(flopsPerSecond)} GFLOP/s${share}`;
}

function memoryLines({ peakPrivateBytes, peakBytes }: PeakMemory): string[] {
  return [`    memory: at most ${gb(peakPrivateBytes)} private, ${gb(peakBytes)} with mapped weights`];
}

function peerLines({ diffusers, ratios, difference }: Omit<Row<Kind>, "ours">, unit = ""): string[] {
  if (diffusers === undefined || ratios === undefined || difference === undefined) return [];
  const rounds = ratios.map((ratio) => ratio.toFixed(2)).join(", ");
  const worst = difference.worst === null ? "not finite" : difference.worst.toPrecision(2);
  return [
    `    diffusers ${s(median(diffusers.seconds))}: ours is ${median(ratios).toFixed(2)} times as fast (rounds: ${rounds})`,
    `    worst difference ${worst}${unit && ` ${unit}`}, root mean square of the result ${difference.scale.toPrecision(3)}`,
  ];
}

function failureLine(failure: Comparison<Kind>["failure"]): string[] {
  return failure === undefined ? [] : [`  diffusers did not run: ${failure}`];
}

function giga(value: number): string {
  const scaled = value / 1e9;
  return scaled.toFixed(scaled < 10 ? 2 : 0);
}

function gb(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

/** Seconds of each round. */
function each(seconds: readonly number[]): string {
  return seconds.map(s).join(", ");
}

function s(seconds: number): string {
  return `${seconds.toPrecision(3)} s`;
}
