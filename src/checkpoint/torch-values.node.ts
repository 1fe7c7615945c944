import { type FileHandle, open } from "node:fs/promises";
import { KandinskyError, product } from "../base/mod.ts";
import { ARRAY_OF, ITEM_SIZE, stridesOf, type Tensor, tensor } from "../tensor/mod.ts";
import { readFully } from "./read.node.ts";
import type { TorchEntry } from "./torch.ts";

/** Bytes of one piece, and of one window of the file for views with gaps. */
const PIECE_BYTES = 16 * 2 ** 20;

/** A tensor's values, row-major, in their stored type. Memory: the values once and two pieces. */
export async function readTorchTensor(entry: TorchEntry): Promise<Tensor> {
  const bytes = new Uint8Array(entry.byteLength);
  let at = 0;
  for await (const piece of streamTorchTensor(entry)) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return tensor(entry.dtype, entry.shape, new ARRAY_OF[entry.dtype](bytes.buffer));
}

/**
 * The same values in row-major pieces of at most 16 MiB, each valid until the next is asked for: a tensor larger
 * than memory can be copied. A transposed or strided view reads its file once for each piece.
 * Throws `file_missing` or `file_corrupt`.
 */
export async function* streamTorchTensor(entry: TorchEntry): AsyncIterable<Uint8Array> {
  const handle = await open(entry.file, "r").catch((cause: unknown) => {
    throw new KandinskyError(
      "file_missing",
      { what: `cannot open the file of tensor "${entry.name}"`, where: entry.file },
      { cause },
    );
  });
  try {
    const buffer = new Uint8Array(Math.min(entry.byteLength, PIECE_BYTES));
    const window = isContiguous(entry) ? undefined : makeWindow(entry);
    for (let at = 0; at < entry.byteLength; at += PIECE_BYTES) {
      const piece = buffer.subarray(0, Math.min(PIECE_BYTES, entry.byteLength - at));
      if (window === undefined) await readFully(handle, piece, entry.offset + at, entry.file);
      else await gather(handle, entry, at / ITEM_SIZE[entry.dtype], piece, window);
      yield piece;
    }
  } finally {
    await handle.close();
  }
}

/** Axes of one element have any stride. */
function isContiguous({ shape, strides }: TorchEntry): boolean {
  const wanted = stridesOf(shape);
  return shape.every((size, axis) => size === 1 || strides[axis] === wanted[axis]);
}

/** Bytes from the first value to the end of the last. */
function extentOf({ shape, strides, dtype }: TorchEntry): number {
  return (shape.reduce((at, size, axis) => at + (size - 1) * strides[axis]!, 0) + 1) * ITEM_SIZE[dtype];
}

function makeWindow(entry: TorchEntry): Uint8Array {
  return new Uint8Array(Math.min(extentOf(entry), PIECE_BYTES));
}

/** Fills a piece from element `first` on: each window of the file gives the elements that lie in it. */
async function gather(
  handle: FileHandle,
  entry: TorchEntry,
  first: number,
  piece: Uint8Array,
  window: Uint8Array,
): Promise<void> {
  const size = ITEM_SIZE[entry.dtype];
  const count = piece.length / size;
  const extent = extentOf(entry);
  for (let from = 0; from < extent; from += window.length) {
    const part = window.subarray(0, Math.min(window.length, extent - from));
    const inside = { low: from / size, high: (from + part.length) / size };
    let loaded = false;
    const odometer = startAt(entry, first);
    for (let i = 0; i < count; i++) {
      const source = odometer.at;
      if (source >= inside.low && source < inside.high) {
        if (!loaded) await readFully(handle, part, entry.offset + from, entry.file);
        loaded = true;
        const start = (source - inside.low) * size;
        for (let b = 0; b < size; b++) piece[i * size + b] = part[start + b]!;
      }
      advance(odometer, entry);
    }
  }
}

/** A place in a view: its index on every axis, and elements from the first value. */
interface Odometer {
  readonly index: number[];
  at: number;
}

function startAt({ shape, strides }: TorchEntry, element: number): Odometer {
  const index = shape.map((size, axis) => {
    const inner = product(shape.slice(axis + 1));
    return Math.floor(element / inner) % size;
  });
  return { index, at: index.reduce((sum, n, axis) => sum + n * strides[axis]!, 0) };
}

function advance(odometer: Odometer, { shape, strides }: TorchEntry): void {
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    odometer.at += strides[axis]!;
    if (++odometer.index[axis]! < shape[axis]!) return;
    odometer.at -= shape[axis]! * strides[axis]!;
    odometer.index[axis] = 0;
  }
}
