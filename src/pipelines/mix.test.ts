import { join } from "node:path";
import { expect, test } from "vitest";
import type { Picture } from "../image/mod.ts";
import { Kandinsky3 } from "./kandinsky3.node.ts";
import type { GenerateRequest } from "./request.ts";

const TINY = join(import.meta.dirname, "../../../golden/tiny-k3");

async function drawn(model: Kandinsky3, request: GenerateRequest): Promise<Picture> {
  const common = { steps: 3, seed: 1, width: 64, height: 64, negative: "grey" };
  for await (const event of model.generate({ ...common, ...request })) {
    if (event.type === "picture") return event.picture;
  }
  throw new Error("no picture");
}

const difference = (a: Picture, b: Picture) =>
  a.data.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b.data[i]!)), 0);

test("Kandinsky3: a prompt mixed in with weight 0 changes nothing, with 1 it is that prompt, between it is neither", {
  timeout: 120_000,
}, async () => {
  await using model = await Kandinsky3.load({ model: TINY, threads: 1 });
  for (const profile of ["diffusers", "native"] as const) {
    const [cat, dog] = [
      await drawn(model, { prompt: "a cat", profile }),
      await drawn(model, { prompt: "a dog", profile }),
    ];
    const mixed = (weight: number) =>
      drawn(model, { prompt: "a cat", mix: { prompt: "a dog", weight }, profile });
    // Sums over more rows may round otherwise.
    expect(difference(await mixed(0), cat), `${profile} 0`).toBeLessThanOrEqual(1);
    expect(difference(await mixed(1), dog), `${profile} 1`).toBeLessThanOrEqual(1);
    const half = await mixed(0.5);
    const far = Math.min(difference(half, cat), difference(half, dog));
    expect(far, `${profile}: half differs by ${far}; the two by ${difference(cat, dog)}`).toBeGreaterThan(1);
  }
});
