import { expect, test } from "vitest";
import type { Picture } from "../image/mod.ts";
import { Kandinsky3 } from "./mod.ts";

/** Correlation of a preview's values with those of the picture's blocks that its pixels stand for. */
function correlation(preview: Picture, picture: Picture): number {
  const factor = picture.width / preview.width;
  const pairs = Array.from(preview.data, (value, i) => {
    const [pixel, colour] = [Math.floor(i / 3), i % 3];
    const [x, y] = [factor * (pixel % preview.width), factor * Math.floor(pixel / preview.width)];
    let sum = 0;
    for (let dy = 0; dy < factor; dy++) {
      for (let dx = 0; dx < factor; dx++)
        sum += picture.data[3 * ((y + dy) * picture.width + x + dx) + colour]!;
    }
    return [value, sum / factor ** 2] as const;
  });
  const mean = (f: (a: number, b: number) => number) =>
    pairs.reduce((sum, [a, b]) => sum + f(a, b), 0) / pairs.length;
  const [a0, b0] = [mean((a) => a), mean((_, b) => b)];
  const [aa, bb] = [mean((a) => (a - a0) ** 2), mean((_, b) => (b - b0) ** 2)];
  return mean((a, b) => (a - a0) * (b - b0)) / Math.sqrt(aa * bb);
}

// Neither is among the prompts that the matrix was fitted to.
test("Kandinsky3.generate gives a preview of every picture at every step, at last like the picture", async () => {
  await using model = await Kandinsky3.load({ threads: 1 });
  const prompt = ["пончик, ното стиль", "two pandas on a yellow background"];
  const counts: number[] = [];
  let previews: readonly Picture[] = [];
  for await (const event of model.generate({ prompt, seed: 3, steps: 8 })) {
    if (event.type === "step") {
      previews = event.previews;
      counts.push(previews.length);
    }
    if (event.type !== "picture") continue;
    const preview = previews[event.job.index]!;
    expect([preview.width, preview.height]).toEqual([16, 16]);
    const like = correlation(preview, event.picture);
    expect(like, `${event.job.prompt}: correlation ${like}`).toBeGreaterThan(0.8);
  }
  expect(counts).toEqual(new Array(8).fill(2));
});
