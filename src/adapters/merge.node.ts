import { createReadStream } from "node:fs";
import { readTensor, type StreamedTensor, type TensorEntry } from "../checkpoint/mod.ts";
import { buildGraph, type Graph, nodesOf } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import { runPasses } from "../passes/mod.ts";
import { cast } from "../tensor/mod.ts";
import type { Adapter } from "./apply.ts";

/**
 * A part's tensors with adapters worked into them, each in the type in which the part stores it (rounded ones as
 * float32), to be written one by one: no more than one changed tensor is in memory. The others are copied byte for byte.
 */
export function mergedTensors(
  part: ReadonlyMap<string, TensorEntry>,
  adapters: readonly Adapter[],
): StreamedTensor[] {
  return [...part].map(([name, entry]) => {
    const { dtype, shape } = entry;
    const graph = adapted(name, entry, adapters);
    const isChanged = nodesOf(graph, "parameter").length > 1;
    return {
      name,
      dtype,
      shape,
      values: () => (isChanged || entry.quantized ? computed(graph, entry, adapters) : bytesOf(entry)),
    };
  });
}

/** One weight as the adapters leave it, as a graph with the result `value`. */
function adapted(name: string, { shape }: TensorEntry, adapters: readonly Adapter[]): Graph {
  const stored = buildGraph((builder) => ({ value: builder.parameter(name, shape) }));
  return runPasses(
    stored,
    adapters.map(({ pass }) => pass),
  );
}

async function* computed(graph: Graph, entry: TensorEntry, adapters: readonly Adapter[]) {
  const added = new Map(adapters.flatMap(({ entries }) => [...entries]));
  const names = nodesOf(graph, "parameter").map(({ attributes }) => attributes.name);
  const stored = await Promise.all(names.map((name) => readTensor(added.get(name) ?? entry)));
  const values = new Map(names.map((name, i) => [name, cast(stored[i]!, "float32")]));
  const result = interpret(graph, {}, (name) => values.get(name)!).get("value")!;
  yield cast(result, entry.dtype).data;
}

const CHUNK_BYTES = 2 ** 22;

function bytesOf({ file, offset, byteLength }: TensorEntry): AsyncIterable<Uint8Array> | [] {
  if (byteLength === 0) return [];
  return createReadStream(file, {
    start: offset,
    end: offset + byteLength - 1,
    highWaterMark: CHUNK_BYTES,
  }) as AsyncIterable<Uint8Array>;
}
