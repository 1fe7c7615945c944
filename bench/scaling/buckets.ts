const VALUE_BYTES = 4;

/** A tensor of gradients by name, and how many values it has. */
export interface GradientSize {
  readonly name: string;
  readonly size: number;
}

/** A tensor's place in a bucket, in values. */
export interface BucketPart extends GradientSize {
  readonly offset: number;
}

/** Tensors that are summed in one call. */
export interface Bucket {
  readonly size: number;
  readonly parts: readonly BucketPart[];
}

/**
 * Tensors in buckets of at most `bytes`; a larger tensor has a bucket of its own. The last tensor comes first: the
 * backward pass makes gradients in the reverse order of the layers, so the first bucket is whole early. One call for
 * each tensor would pay the latency each time, one for all could not begin before the end.
 */
export function planBuckets(tensors: readonly GradientSize[], bytes: number): Bucket[] {
  const buckets: { size: number; parts: BucketPart[] }[] = [];
  for (const { name, size } of [...tensors].reverse()) {
    const open = buckets.at(-1);
    if (open !== undefined && (open.size + size) * VALUE_BYTES <= bytes) {
      open.parts.push({ name, size, offset: open.size });
      open.size += size;
    } else buckets.push({ size, parts: [{ name, size, offset: 0 }] });
  }
  return buckets;
}
