import { KandinskyError } from "../../src/base/mod.ts";
import type { Communicator } from "../../src/mpi/mod.ts";
import type { Bucket, BucketPart } from "./buckets.ts";

/** Sums gradients over all processes while more of them are being computed. */
export interface GradientExchange {
  /**
   * Takes the gradient of a tensor (copied). A bucket goes out as soon as it is whole and those before it are out, so
   * every process sends them in the same order. Throws `tensor_unexpected`, also for a tensor that was given already,
   * and `tensor_shape`.
   */
  add(name: string, gradient: Float32Array): void;
  /**
   * The sums over all processes by name, once every tensor was given; then the next step may begin. They are valid
   * until the next `add`. Throws `tensor_missing`, and what the communicator throws.
   */
  finish(): Promise<ReadonlyMap<string, Float32Array>>;
}

/** An exchange of these buckets, step after step, in memory that it keeps. */
export function gradientExchange(communicator: Communicator, buckets: readonly Bucket[]): GradientExchange {
  const memory = buckets.map(({ size }) => new Float32Array(size));
  const places = new Map<string, { readonly part: BucketPart; readonly bucket: number }>();
  for (const [bucket, { parts }] of buckets.entries()) {
    for (const part of parts) places.set(part.name, { part, bucket });
  }
  const viewOf = ({ part: { offset, size }, bucket }: { part: BucketPart; bucket: number }) =>
    memory[bucket]!.subarray(offset, offset + size);
  const sums = new Map([...places].map(([name, place]) => [name, viewOf(place)]));
  let missing = buckets.map(({ parts }) => new Set(parts.map(({ name }) => name)));
  let sent: Promise<void>[] = [];
  return {
    add(name, gradient) {
      const place = places.get(name);
      if (place === undefined || !missing[place.bucket]!.has(name))
        throw unexpected(name, place !== undefined);
      if (gradient.length !== place.part.size) throw misshaped(place.part, gradient.length);
      sums.get(name)!.set(gradient);
      missing[place.bucket]!.delete(name);
      while (sent.length < buckets.length && missing[sent.length]!.size === 0) {
        const sum = communicator.sum(memory[sent.length]!);
        // `finish` hears of failures; until then they are no surprise.
        sum.catch(() => {});
        sent.push(sum);
      }
    },
    async finish() {
      const [first] = missing.flatMap((names) => [...names]);
      if (first !== undefined) {
        throw new KandinskyError("tensor_missing", {
          what: "a gradient is missing at the end of a step",
          where: first,
        });
      }
      await Promise.all(sent);
      missing = buckets.map(({ parts }) => new Set(parts.map(({ name }) => name)));
      sent = [];
      return sums;
    },
  };
}

function unexpected(name: string, isKnown: boolean): KandinskyError {
  return new KandinskyError("tensor_unexpected", {
    what: "cannot take this gradient",
    where: name,
    seen: isKnown ? "a second one in the same step" : "a tensor in no bucket",
  });
}

function misshaped({ name, size }: BucketPart, seen: number): KandinskyError {
  return new KandinskyError("tensor_shape", {
    what: "cannot take this gradient",
    where: name,
    seen: `${seen} values`,
    wanted: `${size}`,
  });
}
