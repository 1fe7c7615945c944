import type { Bucket } from "./buckets.ts";

/** What carries messages between two nodes. */
export interface Link {
  /** Seconds of a message however short. */
  readonly alpha: number;
  /** Seconds of each byte more. */
  readonly beta: number;
}

export interface Sample {
  readonly bytes: number;
  /** Of one Allreduce of two processes. */
  readonly seconds: number;
}

/**
 * The link for which an Allreduce of two, 2 alpha + bytes beta, comes nearest to what was measured: least squares of
 * the relative errors, so that short messages count as much as long ones.
 */
export function fitLink(samples: readonly Sample[]): Link {
  // Sums of products of the terms 1 / seconds and bytes / seconds, which shall add up to 1.
  let [ones, mixed, squares, one, linear] = [0, 0, 0, 0, 0];
  for (const { bytes, seconds } of samples) {
    const [a, b] = [1 / seconds, bytes / seconds];
    ones += a * a;
    mixed += a * b;
    squares += b * b;
    one += a;
    linear += b;
  }
  const determinant = ones * squares - mixed * mixed;
  const start = (one * squares - linear * mixed) / determinant;
  // Noise may make the longer messages faster for their size than the shortest: no link has negative terms.
  if (start <= 0) return { alpha: 0, beta: linear / squares };
  return { alpha: start / 2, beta: Math.max((linear * ones - one * mixed) / determinant, 0) };
}

/**
 * Seconds of an Allreduce: the better of the ring, whose every node sends 2 (n - 1) messages of 1/n of the bytes, and
 * recursive doubling, log2 n messages of all bytes; the two that Open MPI chooses from by size.
 * Source: Thakur, Rabenseifner, Gropp, "Optimization of collective communication operations in MPICH", 2005.
 */
export function allreduceSeconds({ alpha, beta }: Link, nodes: number, bytes: number): number {
  if (nodes === 1) return 0;
  const ring = 2 * (nodes - 1) * (alpha + (bytes / nodes) * beta);
  const rounds = Math.ceil(Math.log2(nodes));
  // Two of them need one round less than the ring: what was fitted is the ring of two.
  return nodes === 2 ? ring : Math.min(ring, rounds * (alpha + bytes * beta));
}

/** A training step of one node by itself, in seconds. */
export interface Step {
  readonly forward: number;
  readonly backward: number;
  /** After the last gradient: norm, optimiser. */
  readonly update: number;
}

const VALUE_BYTES = 4;

/**
 * Seconds of a step on many nodes. With `overlap` a bucket is sent as soon as the backward pass made it (in
 * proportion to the gradients before it) and the one before is through; without, all are sent after the last.
 */
export function stepSeconds(
  step: Step,
  buckets: readonly Bucket[],
  link: Link,
  nodes: number,
  overlap: boolean,
): number {
  const total = buckets.reduce((sum, { size }) => sum + size, 0);
  const end = step.forward + step.backward;
  let made = 0;
  let free = 0;
  for (const { size } of buckets) {
    made += size;
    const ready = overlap ? step.forward + (step.backward * made) / total : end;
    free = Math.max(ready, free) + allreduceSeconds(link, nodes, size * VALUE_BYTES);
  }
  return Math.max(end, free) + step.update;
}

/** How many deviations above the mean the slowest of `count` is, on average, where they are independent and normal. */
export function slowestOf(count: number): number {
  const width = 1e-3;
  let below = 0;
  let mean = 0;
  for (let x = -9; x < 9; x += width) {
    const next = below + (width * Math.exp(-((x + width / 2) ** 2) / 2)) / Math.sqrt(2 * Math.PI);
    mean += (x + width / 2) * (next ** count - below ** count);
    below = next;
  }
  return mean;
}

/** The seconds of a step that waits for the slowest node, whose work takes `deviation` (a share of it) longer or shorter. */
export function slowed(step: Step, nodes: number, deviation: number): Step {
  const factor = 1 + deviation * slowestOf(nodes);
  return { forward: step.forward * factor, backward: step.backward * factor, update: step.update * factor };
}
