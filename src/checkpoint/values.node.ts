import { type FileHandle, open } from "node:fs/promises";
import { KandinskyError, product } from "../base/mod.ts";
import { dequantize, fromRows, gridOf, unpackPairs } from "../quant/mod.ts";
import {
  ARRAY_OF,
  cast,
  type DType,
  ITEM_SIZE,
  type Tensor,
  tensor,
  widenBfloat16,
  widenFloat16,
  zeros,
} from "../tensor/mod.ts";
import type { QuantizedEntry, TensorEntry } from "./entry.ts";
import { readFully } from "./read.node.ts";

/** 4 MiB of float32: large enough for the disk, small beside any model. */
const CHUNK_ELEMENTS = 2 ** 20;

/** How the stored values of a floating type become float32, in `target` (of equal length). */
const TO_FLOAT32: Readonly<Partial<Record<DType, (bytes: Uint8Array, target: Float32Array) => void>>> = {
  float64: (bytes, target) => target.set(new Float64Array(bytes.buffer)),
  float32: (bytes, target) => target.set(new Float32Array(bytes.buffer)),
  float16: (bytes, target) => widenFloat16(new Uint16Array(bytes.buffer), target),
  bfloat16: (bytes, target) => widenBfloat16(new Uint16Array(bytes.buffer), target),
};

/** The weight that stored codes stand for, exactly. */
async function readQuantized({ form, codes, scales, zeros }: QuantizedEntry): Promise<Tensor<"float32">> {
  const read = async (entry: TensorEntry) => (await readTensor(entry)).data;
  const bytes = (await read(codes)) as Uint8Array;
  const weights = dequantize(
    {
      codes: form.bits === 4 ? unpackPairs(bytes) : bytes,
      scales: (await read(scales)) as Uint16Array,
      ...(zeros === undefined ? {} : { zeros: (await read(zeros)) as Uint8Array }),
    },
    gridOf(form.order, form.shape),
    form,
  );
  return fromRows(form.order, form.shape, weights);
}

/** A tensor's values in their stored type, rounded weights as float32. Memory: the values once. Throws `file_missing` or `file_corrupt`. */
export async function readTensor(entry: TensorEntry): Promise<Tensor> {
  if (entry.quantized) return readQuantized(entry.quantized);
  return withFile(entry, async (handle) => {
    const bytes = allocate(entry, () => new Uint8Array(entry.byteLength));
    await readFully(handle, bytes, entry.offset, entry.file);
    return tensor(entry.dtype, entry.shape, new ARRAY_OF[entry.dtype](bytes.buffer));
  });
}

/**
 * A tensor's values as float32; F16 and BF16 widen exactly, F64 rounds. Memory: the float32 values and one
 * chunk. Throws `tensor_dtype` for integers and booleans.
 */
export async function readTensorAsFloat32(entry: TensorEntry): Promise<Tensor<"float32">> {
  const convert = converter(entry);
  if (entry.dtype === "float32") return cast(await readTensor(entry), "float32");
  const result = allocate(entry, () => zeros("float32", entry.shape));
  await withFile(entry, async (handle) => {
    for (let at = 0; at < result.data.length; at += CHUNK_ELEMENTS) {
      const target = result.data.subarray(at, at + CHUNK_ELEMENTS);
      convert(await readElements(handle, entry, at, target.length), target);
    }
  });
  return result;
}

/**
 * The same values in row-major pieces of `chunkElements` (the last may be shorter), each its own memory, so
 * that a tensor larger than memory can be copied or measured; a rounded weight is in memory whole.
 */
export async function* streamFloat32(entry: TensorEntry, chunkElements: number): AsyncIterable<Float32Array> {
  const convert = converter(entry);
  const total = product(entry.shape);
  if (entry.quantized) {
    const { data } = await readQuantized(entry.quantized);
    for (let at = 0; at < total; at += chunkElements) yield data.subarray(at, at + chunkElements);
    return;
  }
  const handle = await openFile(entry);
  try {
    for (let at = 0; at < total; at += chunkElements) {
      const piece = new Float32Array(Math.min(chunkElements, total - at));
      convert(await readElements(handle, entry, at, piece.length), piece);
      yield piece;
    }
  } finally {
    await handle.close();
  }
}

function converter(entry: TensorEntry): (bytes: Uint8Array, target: Float32Array) => void {
  const convert = TO_FLOAT32[entry.dtype];
  if (convert === undefined) {
    throw new KandinskyError("tensor_dtype", {
      what: "cannot read the tensor as float32",
      where: `${entry.file}, tensor "${entry.name}"`,
      seen: entry.dtype,
      wanted: Object.keys(TO_FLOAT32).join(", "),
    });
  }
  return convert;
}

async function readElements(handle: FileHandle, entry: TensorEntry, first: number, count: number) {
  const size = ITEM_SIZE[entry.dtype];
  const bytes = new Uint8Array(count * size);
  await readFully(handle, bytes, entry.offset + first * size, entry.file);
  return bytes;
}

async function withFile<T>(entry: TensorEntry, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await openFile(entry);
  try {
    return await use(handle);
  } finally {
    await handle.close();
  }
}

function openFile(entry: TensorEntry): Promise<FileHandle> {
  return open(entry.file, "r").catch((cause: unknown) => {
    throw new KandinskyError(
      "file_missing",
      { what: `cannot open the file of tensor "${entry.name}"`, where: entry.file },
      { cause },
    );
  });
}

function allocate<T>(entry: TensorEntry, make: () => T): T {
  try {
    return make();
  } catch (cause) {
    throw new KandinskyError(
      "memory_exceeded",
      {
        what: "cannot hold the tensor in memory",
        where: `${entry.file}, tensor "${entry.name}"`,
        seen: `${entry.dtype} [${entry.shape.join(",")}]`,
      },
      { cause },
    );
  }
}
