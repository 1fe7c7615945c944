import type * as Ort from "onnxruntime-node";
import { KandinskyError, product } from "../base/mod.ts";
import { ARRAY_OF, type DType, type Tensor } from "../tensor/mod.ts";
import { loadError, runError } from "./runtime-errors.ts";
import type { Fetch, Held, Port, ProgramSource } from "./types.ts";

/** A session with the buffers that its returned outputs are written to, run after run. */
export interface LoadedProgram {
  readonly name: string;
  readonly session: Ort.InferenceSession;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly buffers: Map<string, Ort.Tensor>;
}

export interface SessionSettings {
  readonly ort: typeof Ort;
  readonly device: string;
  readonly threads: number;
}

/** Creates a session; what ONNX Runtime throws comes out as `loadError` words it. */
export async function loadProgram(
  { ort, device, threads }: SessionSettings,
  source: ProgramSource,
): Promise<LoadedProgram> {
  const { name, onnx, weightsFolder, optimization = "all", arena = true, memoryPattern = true } = source;
  const folder =
    weightsFolder === undefined
      ? {}
      : { "session.model_external_initializers_file_folder_path": weightsFolder };
  try {
    const session = await ort.InferenceSession.create(onnx, {
      executionProviders: [device],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: optimization,
      enableCpuMemArena: arena,
      enableMemPattern: memoryPattern,
      logSeverityLevel: 3,
      extra: { ...source.sessionConfig, ...folder },
      ...(source.saveOptimizedTo === undefined ? {} : { optimizedModelFilePath: source.saveOptimizedTo }),
    });
    const inputs = session.inputMetadata.map((port) => portOf(name, port));
    const outputs = session.outputMetadata.map((port) => portOf(name, port));
    return { name, session, inputs, outputs, buffers: new Map() };
  } catch (error) {
    throw error instanceof KandinskyError ? error : loadError(source, error);
  }
}

function portOf(program: string, port: Ort.InferenceSession.ValueMetadata): Port {
  if (!port.isTensor || !(port.type in ARRAY_OF)) {
    throw new KandinskyError("graph_invalid", {
      what: `cannot load ${program}`,
      where: port.name,
      seen: port.isTensor ? port.type : "not a tensor",
      wanted: Object.keys(ARRAY_OF).join(", "),
    });
  }
  return { name: port.name, dtype: port.type as DType, shape: port.shape };
}

/** The tensor as ONNX Runtime takes it, over the same memory. */
export function toRuntime(ort: typeof Ort, { dtype, data, shape }: Tensor): Ort.Tensor {
  return new ort.Tensor(dtype as "float32", data as Float32Array, shape);
}

export function fromRuntime({ type, dims, data }: Ort.Tensor): Tensor {
  // Where the engine's JavaScript has Float16Array, ONNX Runtime uses it; ours are the bits.
  const { buffer, byteOffset, length } = data as Float32Array;
  const dtype = type as DType;
  return { dtype, shape: dims, data: new ARRAY_OF[dtype](buffer, byteOffset, length) };
}

/** The tensors that stay here, by number. */
export interface HeldTensors {
  readonly held: ReadonlyMap<number, Ort.Tensor>;
  readonly hold: (tensor: Ort.Tensor) => number;
}

/** Runs a program; a tensor that is written over may be one of the feeds. */
export async function runProgram(
  ort: typeof Ort,
  program: LoadedProgram,
  feeds: Readonly<Record<string, Ort.Tensor>>,
  fetches: Readonly<Record<string, Fetch>>,
  { held, hold }: HeldTensors,
): Promise<Record<string, Tensor | Held>> {
  const targets: Record<string, Ort.Tensor | null> = {};
  for (const [name, fetch] of Object.entries(fetches)) {
    if (typeof fetch === "object") targets[name] = held.get(fetch.held)!;
    else targets[name] = fetch === "return" ? outputBuffer(ort, program, name) : null;
  }
  let results: Ort.InferenceSession.OnnxValueMapType;
  try {
    results = await program.session.run(feeds, targets);
  } catch (error) {
    throw runError(program.name, error);
  }
  const answer: Record<string, Tensor | Held> = {};
  for (const [name, fetch] of Object.entries(fetches)) {
    const result = results[name] as Ort.Tensor;
    if (typeof fetch === "object") continue;
    answer[name] =
      fetch === "hold"
        ? { held: hold(result), dtype: result.type as DType, shape: result.dims }
        : fromRuntime(targets[name] ?? result);
  }
  return answer;
}

/** A returned output is copied into the pipe at once, so every run may write to the same memory. */
function outputBuffer(ort: typeof Ort, program: LoadedProgram, name: string): Ort.Tensor | null {
  const known = program.buffers.get(name);
  if (known !== undefined) return known;
  const port = program.outputs.find((output) => output.name === name);
  if (port === undefined || !port.shape.every((size) => typeof size === "number")) return null;
  const data = new ARRAY_OF[port.dtype](product(port.shape));
  const buffer = toRuntime(ort, { dtype: port.dtype, shape: port.shape, data });
  program.buffers.set(name, buffer);
  return buffer;
}
