import { dirname } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { type Picture, resizeBicubic } from "../image/mod.ts";
import { type Port, type Program, startEngine } from "../runtime/mod.ts";
import { formatShape, type Tensor, tensor } from "../tensor/mod.ts";

/** A network that tells how far the things in a picture are. */
export interface DepthNetwork extends AsyncDisposable {
  /** Inverse depth of every pixel of the picture, row by row, in a unit of the network's own: more is nearer. */
  readonly inverseDepth: (picture: Picture) => Promise<Float32Array>;
}

/** ImageNet's mean and standard deviation of red, green and blue in [0, 1]. */
const MEAN = [0.485, 0.456, 0.406] as const;
const DEVIATION = [0.229, 0.224, 0.225] as const;

/** Side of the picture for networks that take any: both 14 and 32 divide it. */
const OPEN_SIDE = 448;

const WANTED = "one float32 picture [1,3,H,W] in, inverse depth [1,H,W] or [1,1,H,W] out";

/**
 * Opens a monocular depth network from the bytes of its ONNX file, which `where` names; weights beside the file are
 * found there. Throws `model_config` for a file that ONNX Runtime cannot load or whose inputs and outputs are others,
 * and what `startEngine` throws; `inverseDepth` throws `model_config` and `result_not_finite`.
 */
export async function openDepth(
  onnx: Uint8Array,
  where: string,
  options: { readonly threads?: number; readonly signal?: AbortSignal } = {},
): Promise<DepthNetwork> {
  const engine = await startEngine({ device: "cpu", ...options });
  try {
    const source = { name: where, onnx, weightsFolder: dirname(where), optimization: "all" } as const;
    const program = await engine
      .load(source)
      .catch((cause: unknown) => Promise.reject(refused(where, cause)));
    const ports = portsOf(program, where);
    return {
      inverseDepth: (picture) => run(program, ports, picture, where),
      [Symbol.asyncDispose]: () => engine[Symbol.asyncDispose](),
    };
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

interface Ports {
  readonly input: string;
  readonly output: string;
  readonly width: number;
  readonly height: number;
}

function portsOf({ inputs, outputs }: Program, where: string): Ports {
  const [input, second] = inputs;
  const [output] = outputs;
  if (input === undefined || second !== undefined) throw unfit(where, `inputs ${listOf(inputs)}`);
  const [batch, channels, height, width] = input.shape;
  const isPicture = input.shape.length === 4 && is(batch, 1) && is(channels, 3) && input.dtype === "float32";
  if (!isPicture) throw unfit(where, `input ${listOf([input])}`);
  if (output === undefined || output.dtype !== "float32" || planeOf(output.shape) === undefined) {
    throw unfit(where, `outputs ${listOf(outputs)}`);
  }
  const side = (size: number | string | undefined) =>
    typeof size === "number" && size > 0 ? size : OPEN_SIDE;
  return { input: input.name, output: output.name, width: side(width), height: side(height) };
}

/** Height and width of an output [1,H,W] or [1,1,H,W]; undefined for other shapes. */
function planeOf(shape: Port["shape"]): readonly [Port["shape"][number], Port["shape"][number]] | undefined {
  const leading = shape.slice(0, -2);
  if (leading.length < 1 || leading.length > 2 || !leading.every((size) => is(size, 1))) return undefined;
  return [shape.at(-2)!, shape.at(-1)!];
}

/** Whether a dimension is that long, or left open. */
function is(size: number | string | undefined, wanted: number): boolean {
  return typeof size === "string" || size === wanted;
}

function listOf(ports: readonly Port[]): string {
  return ports.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(",")}]`).join(", ") || "none";
}

async function run(program: Program, ports: Ports, picture: Picture, where: string): Promise<Float32Array> {
  const feeds = { [ports.input]: normalised(resizeBicubic(picture, ports.width, ports.height)) };
  const results = await program.run(feeds, { [ports.output]: "return" });
  const { shape, data } = results[ports.output] as Tensor<"float32">;
  const [height, width] = (planeOf(shape) ?? []) as number[];
  if (height === undefined || width === undefined) throw unfit(where, `output ${formatShape(shape)}`);
  if (!data.every(Number.isFinite)) {
    throw new KandinskyError("result_not_finite", {
      what: "the depth network gave values that are no numbers",
      where,
      hint: "use another network",
    });
  }
  return enlarged(data, width, height, picture.width, picture.height);
}

function normalised({ width, height, data }: Picture): Tensor<"float32"> {
  const size = width * height;
  const values = new Float32Array(3 * size);
  for (let channel = 0; channel < 3; channel++) {
    const [mean, deviation] = [MEAN[channel]!, DEVIATION[channel]!];
    for (let i = 0; i < size; i++) {
      values[channel * size + i] = (data[3 * i + channel]! / 255 - mean) / deviation;
    }
  }
  return tensor("float32", [1, 3, height, width], values);
}

/** The plane at another size, in straight lines between the middles of its pixels. */
function enlarged(
  plane: Float32Array,
  width: number,
  height: number,
  newWidth: number,
  newHeight: number,
): Float32Array {
  const output = new Float32Array(newWidth * newHeight);
  const across = placesOf(width, newWidth);
  for (const [y, row] of placesOf(height, newHeight).entries()) {
    const [top, bottom] = [row.low * width, row.high * width];
    for (const [x, { low, high, share }] of across.entries()) {
      const upper = plane[top + low]! * (1 - share) + plane[top + high]! * share;
      const lower = plane[bottom + low]! * (1 - share) + plane[bottom + high]! * share;
      output[y * newWidth + x] = upper * (1 - row.share) + lower * row.share;
    }
  }
  return output;
}

function placesOf(from: number, to: number) {
  return Array.from({ length: to }, (_, i) => {
    const place = Math.min(from - 1, Math.max(0, ((i + 0.5) * from) / to - 0.5));
    const low = Math.floor(place);
    return { low, high: Math.min(from - 1, low + 1), share: place - low };
  });
}

function unfit(where: string, seen: string): KandinskyError {
  return new KandinskyError("model_config", {
    what: "this is no depth network that can be used",
    where,
    seen,
    wanted: WANTED,
    hint: "export MiDaS, Depth Anything or another network of this form to ONNX",
  });
}

/** What ONNX Runtime says of a file that the user gave is the user's to mend. */
function refused(where: string, cause: unknown): unknown {
  if (!(cause instanceof KandinskyError) || cause.code !== "graph_invalid") return cause;
  const parts = { what: "cannot load the depth network", where, seen: cause.parts.seen ?? cause.message };
  return new KandinskyError("model_config", { ...parts, wanted: "an ONNX file" }, { cause });
}
