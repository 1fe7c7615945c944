import type { Picture } from "../image/mod.ts";
import type { SamplingMap } from "./camera.ts";
import { colorDistance } from "./color.ts";
import { opticalFlow } from "./flow.ts";
import { warpPicture } from "./warp.ts";

/** Mean difference of two pictures in levels of 255. */
export function meanDifference(a: Picture, b: Picture): number {
  let sum = 0;
  for (let i = 0; i < a.data.length; i++) sum += Math.abs(a.data[i]! - b.data[i]!);
  return sum / a.data.length;
}

/** How much a frame differs from the one before it, moved as the camera moved: what flickers. Levels of 255. */
export function movedDifference(before: Picture, after: Picture, map: SamplingMap): number {
  return meanDifference(warpPicture(before, [map], "replicate"), after);
}

/** How far the mean colour of each picture is from that of the first: CIELAB distances. */
export function colorDrift(pictures: readonly Picture[]): number[] {
  return pictures.map((picture) => colorDistance(pictures[0]!, picture));
}

/** How many times smaller the second picture shows what is in the first: least squares over the optical flow. */
export function measuredScale(before: Picture, after: Picture): number {
  const { width, height, x, y } = opticalFlow(before, after);
  let [along, square] = [0, 0];
  // The flow at the edges is of what has left the picture.
  const [mx, my] = [Math.round(width / 8), Math.round(height / 8)];
  for (let row = my; row < height - my; row++) {
    for (let column = mx; column < width - mx; column++) {
      const [u, v] = [column + 0.5 - width / 2, row + 0.5 - height / 2];
      const i = row * width + column;
      along += u * x[i]! + v * y[i]!;
      square += u * u + v * v;
    }
  }
  return 1 / (1 + along / square);
}
