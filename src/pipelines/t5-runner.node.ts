import { product } from "../base/mod.ts";
import type { Graph } from "../graph/mod.ts";
import { type T5Config, type T5Range, t5Graph } from "../models/mod.ts";
import { quantizedBytes } from "../quant/mod.ts";
import type { Program } from "../runtime/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { firstWrong, isFinite32, NOWHERE, notFinite } from "./blame.node.ts";
import type { BoundPart } from "./packing.node.ts";
import type { Precision } from "./plan.ts";
import { loadWithCasts, schemeOf, type Workshop } from "./program.node.ts";
import { ResidentPrograms } from "./resident.node.ts";
import { encoderInputs, type TextPlan } from "./text.ts";

/** Widened weights of one part of the encoder may take this much memory. */
export const PART_BYTES = 2e9;

/** How an encoder goes through memory. */
export interface EncodeOptions {
  /** Programs that stay loaded for the next text. */
  readonly resident?: ResidentPrograms;
  /** Weights of one part of the encoder take about this much while they are used. */
  readonly partBytes?: number;
  readonly precision?: Precision;
}

/** Hidden states [N,L,D] of all rows of a plan. A large encoder goes through memory a few blocks at a time. */
export async function encodeText(
  workshop: Workshop,
  part: BoundPart,
  config: T5Config,
  plan: TextPlan,
  { resident = new ResidentPrograms(), partBytes = PART_BYTES, precision = "stored" }: EncodeOptions = {},
): Promise<Tensor<"float32">> {
  const { ids, maskBias } = encoderInputs(plan);
  let carried: Readonly<Record<string, Tensor>> = { ids };
  for (const range of rangesOf(part, config, partBytes, precision)) {
    const name = `text encoder, blocks ${range.from} to ${range.to - 1}`;
    const graph = t5Graph(config, plan.rows.length, plan.paddedLength, range);
    const loadAs = (g: Graph) => loadWithCasts(workshop, part, name, g, precision);
    const load = () => loadAs(graph);
    const key = `${plan.rows.length}x${plan.paddedLength} from ${range.from} ${precision}`;
    const given = { ...carried, mask_bias: maskBias };
    const results = await resident.use(part, "text encoder", key, load, (program) => runAll(program, given));
    if (!isFinite32(results["hidden"] as Tensor<"float32">)) {
      const watched = { graph, feeds: given, load: loadAs };
      const place = await firstWrong(watched, (t) => !isFinite32(t));
      throw notFinite("the text encoder's result is not finite", place ?? NOWHERE);
    }
    carried = { ...carried, ...results, hidden_before: results["hidden"]! };
  }
  return carried["hidden"] as Tensor<"float32">;
}

async function runAll(
  program: Program,
  values: Readonly<Record<string, Tensor>>,
): Promise<Readonly<Record<string, Tensor>>> {
  const feeds = Object.fromEntries(program.inputs.map(({ name }) => [name, values[name]!]));
  const fetches = Object.fromEntries(program.outputs.map(({ name }) => [name, "return" as const]));
  return program.run(feeds, fetches);
}

/** Bytes of a weight while it is used. */
function usedBytes(part: BoundPart, name: string, shape: readonly number[], precision: Precision): number {
  const scheme = schemeOf(part, name, precision);
  return scheme === undefined ? 4 * product(shape) : quantizedBytes(scheme, product(shape));
}

/** Ranges of blocks whose weights take about `partBytes` while they are used. */
export function rangesOf(
  part: BoundPart,
  config: T5Config,
  partBytes = PART_BYTES,
  precision: Precision = "stored",
): T5Range[] {
  const blockBytes = [...part.entries]
    .filter(([name]) => name.startsWith("encoder.block.1.") || config.numLayers === 1)
    .reduce((sum, [name, { shape }]) => sum + usedBytes(part, name, shape, precision), 0);
  const size = Math.max(1, Math.floor(partBytes / blockBytes));
  const count = Math.ceil(config.numLayers / size);
  return Array.from({ length: count }, (_, i) => ({
    from: i * size,
    to: Math.min(config.numLayers, (i + 1) * size),
  }));
}
