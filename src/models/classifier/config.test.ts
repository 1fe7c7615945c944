import { expect, test } from "vitest";
import { interpret } from "../../interp/mod.ts";
import { foldIn, keyOf, normal } from "../../random/mod.ts";
import { float32 } from "../../tensor/mod.ts";
import { classifierJson, parseClassifierConfig } from "./config.ts";
import { classifierGraph, classifierParameters } from "./model.ts";

const TINY = { side: 16, widths: [8, 16], features: 4, classes: ["a", "b", "c"], measured: { right: 0.5 } };

test("parseClassifierConfig reads what classifierJson writes, and refuses sizes that do not fit", () => {
  expect(parseClassifierConfig(classifierJson(TINY), "config")).toEqual(TINY);
  const wrong = [{ side: 12 }, { widths: [12] }, { widths: [] }, { classes: ["a"] }, { features: 0 }];
  for (const change of wrong) {
    expect(() => parseClassifierConfig({ ...classifierJson(TINY), ...change }, "config")).toThrow(
      expect.objectContaining({ code: "model_config" }),
    );
  }
  expect(() => parseClassifierConfig({ ...classifierJson(TINY), model_type: "t5" }, "config")).toThrow(
    expect.objectContaining({ code: "model_family" }),
  );
});

test("classifierGraph gives features of length 1, and logits that are twenty times their cosines to the classes", () => {
  const key = keyOf(7);
  const weights = new Map(
    classifierParameters(TINY).map(({ name, shape }, i) => [name, normal(foldIn(key, i), shape)]),
  );
  const image = float32([2, 3, 16, 16], normal(keyOf(8), [2, 3, 16, 16]).data);
  const results = interpret(classifierGraph(TINY, 2), { image }, (name) => weights.get(name)!);
  const [features, logits] = ["features", "logits"].map((name) => results.get(name)!.data as Float32Array);
  const classes = weights.get("classes.weight")!.data;
  let worst = 0;
  for (let row = 0; row < 2; row++) {
    const own = [...features!.subarray(4 * row, 4 * row + 4)];
    worst = Math.max(worst, Math.abs(Math.hypot(...own) - 1));
    for (let c = 0; c < 3; c++) {
      const direction = [...classes.subarray(4 * c, 4 * c + 4)];
      const cosine = own.reduce((sum, x, i) => sum + x * direction[i]!, 0) / Math.hypot(...direction);
      worst = Math.max(worst, Math.abs(logits![3 * row + c]! - 20 * cosine));
    }
  }
  expect(worst, `worst difference ${worst}`).toBeLessThan(1e-4);
});
