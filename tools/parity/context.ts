import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Graph, rewrite } from "../../src/graph/mod.ts";
import type { Pass } from "../../src/passes/mod.ts";
import {
  type BoundPart,
  foldPart,
  loadFolded,
  MovqRunner,
  type OpenedModel,
  openModel,
  PackStore,
  UNetRunner,
  type Workshop,
} from "../../src/pipelines/mod.ts";
import { startEngine } from "../../src/runtime/mod.ts";
import type { Tensor } from "../../src/tensor/mod.ts";
import type { Fixture } from "./fixture.ts";
import type { Manifest } from "./folder.ts";
import type { Report } from "./report.ts";

/** What every kind of case gets. */
export interface Context {
  /** Absolute path. */
  readonly folder: string;
  readonly manifest: Manifest;
  readonly report: Report;
  /** The fixture of a file; undefined where the folder or its manifest has none. */
  readonly fixture: (file: string) => Fixture | undefined;
  readonly workshop: Workshop;
  /** Those that the product runs its graphs with. */
  readonly passes: readonly Pass[];
  /** A whole model of the folder, opened once. */
  readonly model: (path: string) => Promise<LoadedModel>;
}

/** A model with the product's own runners. */
export interface LoadedModel {
  readonly opened: OpenedModel;
  readonly unet: UNetRunner;
  readonly movq: MovqRunner;
}

/** ONNX Runtime on the CPU and a place for packed weights that is gone afterwards: the folder stays as it was. */
export async function openWorkshop(): Promise<Workshop & AsyncDisposable> {
  const root = await mkdtemp(join(tmpdir(), "kandinsky-parity-"));
  const engine = await startEngine({ device: "cpu" });
  return {
    engine,
    store: new PackStore(root, true, () => {}),
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** Opens each model once. */
export function modelOpener(
  folder: string,
  workshop: Workshop,
  passes: readonly Pass[],
): (path: string) => Promise<LoadedModel> {
  const opened = new Map<string, Promise<LoadedModel>>();
  return (path) => {
    const known = opened.get(path) ?? load(join(folder, path), workshop, passes);
    opened.set(path, known);
    return known;
  };
}

async function load(path: string, workshop: Workshop, passes: readonly Pass[]): Promise<LoadedModel> {
  const opened = await openModel(path);
  const { unet, movq } = opened;
  return {
    opened,
    unet: new UNetRunner(workshop, unet.part, unet.config, passes),
    movq: new MovqRunner(workshop, movq.part, movq.config, passes),
  };
}

/** Outputs and taps of a graph, by name; feeds that the graph does not need are ignored. */
export async function runGraph(
  workshop: Workshop,
  part: BoundPart,
  graph: Graph,
  feeds: Readonly<Record<string, Tensor>>,
  wanted: readonly string[],
): Promise<ReadonlyMap<string, Tensor>> {
  const found = wanted.flatMap((name) => {
    const id = graph.outputs.get(name) ?? graph.taps.get(name);
    return id === undefined ? [] : [[name, id] as const];
  });
  // Results get a prefix: an output may not have the name of an input.
  const outputs = new Map(found.map(([name, id]) => [`seen ${name}`, id]));
  const needed = rewrite({ ...graph, outputs, taps: new Map() }, () => undefined);
  const program = await loadFolded(workshop, part, `${part.name}, watched`, foldPart(needed, part));
  try {
    const taken = Object.fromEntries(program.inputs.map(({ name }) => [name, feeds[name]!]));
    const fetches = Object.fromEntries([...outputs.keys()].map((name) => [name, "return" as const]));
    const results = await program.run(taken, fetches);
    return new Map(found.map(([name]) => [name, results[`seen ${name}`]!]));
  } finally {
    await program.release();
  }
}

/** The values with another shape of equal size. */
export function reshaped<T extends Tensor>(t: T, shape: readonly number[]): T {
  return { ...t, shape };
}

/** Entry `index` of the first axis, without that axis. */
export function entryOf<T extends Tensor>(t: T, index: number): T {
  const shape = t.shape.slice(1);
  const size = shape.reduce((product, side) => product * side, 1);
  return { ...t, shape, data: t.data.subarray(index * size, (index + 1) * size) };
}

/** Tensors of one shape along a new first axis. */
export function stack(parts: readonly Tensor<"float32">[]): Tensor<"float32"> {
  const data = new Float32Array(parts.reduce((sum, part) => sum + part.data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  return { dtype: "float32", shape: [parts.length, ...(parts[0]?.shape ?? [])], data };
}

/** Whole numbers as the files store them. */
export function int32(shape: readonly number[], values: readonly number[]): Tensor<"int32"> {
  return { dtype: "int32", shape, data: Int32Array.from(values) };
}
