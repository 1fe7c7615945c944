import { buildGraph } from "../graph/mod.ts";
import { encodeOnnx } from "../onnx/mod.ts";
import { blockedLayout, chunkAttention, foldConstants, type Pass } from "../passes/mod.ts";
import type { Engine } from "../runtime/mod.ts";
import { float32 } from "../tensor/mod.ts";

/** Scores of one attention larger than this are computed for a part of the queries at a time. */
export const MAX_SCORE_BYTES = 128e6;

/** The passes that make a model's graph fast on an engine's device; all keep its meaning. */
export async function passesFor(engine: Engine): Promise<Pass[]> {
  const block = await blockSizeOf(engine);
  return [foldConstants, ...(block > 1 ? [blockedLayout(block)] : []), chunkAttention(MAX_SCORE_BYTES)];
}

const CHANNELS = 16;

/**
 * How many channels a block of the runtime's convolutions has on this machine (16 with AVX-512, 8 with narrower
 * registers), found by reordering a map whose channels are numbered; 1 where the device has no such layout.
 */
async function blockSizeOf(engine: Engine): Promise<number> {
  if (engine.device !== "cpu") return 1;
  const graph = buildGraph((builder) => {
    const map = builder.input("map", "float32", [1, CHANNELS, 1, 2]);
    return { blocked: builder.apply("toBlocked", [map], { block: CHANNELS }) };
  });
  const onnx = encodeOnnx(graph, (name) => {
    throw new RangeError(`no weight ${name}`);
  });
  const program = await engine.load({ name: "block size", onnx, optimization: "disabled" });
  try {
    // Channel c holds c at both places: the first place's channels come before the second's, block by block.
    const values = Array.from({ length: 2 * CHANNELS }, (_, i) => Math.floor(i / 2));
    const { blocked } = await program.run(
      { map: float32([1, CHANNELS, 1, 2], values) },
      { blocked: "return" },
    );
    const repeat = blocked.data.indexOf(0 as never, 1);
    return CHANNELS % repeat === 0 ? repeat : 1;
  } catch {
    // Processors without vector registers have no blocked convolutions, and the runtime says so by failing.
    return 1;
  } finally {
    await program.release();
  }
}
