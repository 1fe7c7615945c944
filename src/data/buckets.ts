import { KandinskyError } from "../base/mod.ts";

/** A size that pictures are brought to, pixels. */
export interface Bucket {
  readonly width: number;
  readonly height: number;
}

/** Which sizes a stage of training has. */
export interface BucketOptions {
  /**
   * `one-area`: for every width the greatest height within `maxArea`, and the same turned (the NovelAI scheme).
   * `all`: every size with an area from `minArea` to `maxArea`.
   */
  readonly mode: "one-area" | "all";
  /** Pixels; only `all` has a lower limit, and `one-area` may leave it 0. */
  readonly minArea: number;
  readonly maxArea: number;
  /** Sides are multiples of this. */
  readonly step: number;
  /** Sides that the model can draw are multiples of this. */
  readonly unit: number;
  /** Longer side over shorter side, at most. */
  readonly maxAspect: number;
}

/**
 * The buckets of a stage, by rising width, then height. Throws `option_invalid` where the step is no multiple of
 * the model's unit, or where no size fits the limits.
 */
export function makeBuckets(options: BucketOptions): Bucket[] {
  const { mode, minArea, maxArea, step, unit, maxAspect } = options;
  if (!Number.isInteger(step) || step < 1 || step % unit !== 0) {
    throw impossible("step", String(step), `a multiple of the model's unit, ${unit}`);
  }
  if (!(maxAspect >= 1)) throw impossible("maxAspect", String(maxAspect), "at least 1");
  if (!(minArea <= maxArea)) throw impossible("minArea", String(minArea), `at most maxArea, ${maxArea}`);
  const longest = Math.floor(Math.sqrt(maxArea * maxAspect) / step) * step;
  const fits = ({ width, height }: Bucket) =>
    height >= step &&
    width * height >= minArea &&
    width * height <= maxArea &&
    Math.max(width, height) <= maxAspect * Math.min(width, height);
  const sides = Array.from({ length: longest / step }, (_, i) => (i + 1) * step);
  const sizes = SIZES[mode](sides, maxArea, step).filter(fits);
  if (sizes.length === 0) {
    throw impossible(
      "buckets",
      `no size with sides in steps of ${step} and an area from ${minArea} to ${maxArea} pixels`,
      `at least one within ${maxAspect}:1`,
    );
  }
  const found = new Map(sizes.map((size) => [`${size.width}x${size.height}`, size]));
  return [...found.values()].sort((a, b) => a.width - b.width || a.height - b.height);
}

const SIZES: Readonly<
  Record<BucketOptions["mode"], (sides: readonly number[], maxArea: number, step: number) => Bucket[]>
> = {
  "one-area": (sides, maxArea, step) => {
    const longest = sides.at(-1) ?? 0;
    // A side below this would want another one longer than the longest.
    const shortest = Math.max(step, Math.ceil(maxArea / longest / step) * step);
    return sides
      .filter((width) => width >= shortest)
      .flatMap((width) => {
        const height = Math.min(Math.floor(maxArea / width / step) * step, longest);
        return [
          { width, height },
          { width: height, height: width },
        ];
      });
  },
  all: (sides) => sides.flatMap((width) => sides.map((height) => ({ width, height }))),
};

/** Checks a list of sizes given by hand. Throws `option_invalid` for one that the model cannot draw. */
export function checkBuckets(buckets: readonly Bucket[], unit: number): void {
  if (buckets.length === 0) throw impossible("buckets", "none", "at least one");
  for (const { width, height } of buckets) {
    const fits = (side: number) => Number.isInteger(side) && side > 0 && side % unit === 0;
    if (!fits(width) || !fits(height)) {
      throw impossible(
        "buckets",
        `${width}x${height}`,
        `sides that are multiples of the model's unit, ${unit}`,
      );
    }
  }
}

function impossible(where: string, seen: string, wanted: string): KandinskyError {
  return new KandinskyError("option_invalid", { what: "no such bucket is possible", where, seen, wanted });
}

/** How a picture is brought to the size of its bucket: scaled to cover it, then cut. */
export interface Fit {
  readonly bucket: number;
  /** Size after scaling, before cutting. */
  readonly scaledWidth: number;
  readonly scaledHeight: number;
}

/**
 * The bucket nearest in shape, by |ln(w/h) - ln(W/H)|; of those equally near the largest that the picture
 * covers without being enlarged, else the smallest. Undefined where the picture would have to be enlarged and
 * `enlarge` is false.
 */
export function fitBucket(
  { width, height }: Bucket,
  buckets: readonly Bucket[],
  enlarge: boolean,
): Fit | undefined {
  const errorOf = (bucket: Bucket) =>
    Math.abs(Math.log(width / height) - Math.log(bucket.width / bucket.height));
  const least = Math.min(...buckets.map(errorOf));
  const near = buckets
    .map((bucket, index) => ({ bucket, index, area: bucket.width * bucket.height }))
    .filter(({ bucket }) => errorOf(bucket) <= least + 1e-9)
    .sort((a, b) => b.area - a.area);
  const covered = near.find(({ bucket }) => bucket.width <= width && bucket.height <= height);
  if (covered === undefined && !enlarge) return undefined;
  const { bucket, index } = covered ?? near.at(-1)!;
  const scale = Math.max(bucket.width / width, bucket.height / height);
  return {
    bucket: index,
    scaledWidth: Math.max(Math.round(width * scale), bucket.width),
    scaledHeight: Math.max(Math.round(height * scale), bucket.height),
  };
}
