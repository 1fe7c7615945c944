import { expect, test } from "vitest";
import type { DType } from "../tensor/mod.ts";
import { bind } from "./bind.ts";
import type { TensorEntry } from "./entry.ts";
import { errorOf } from "./test-support.ts";

function entry(name: string, shape: readonly number[], dtype: DType = "float32"): TensorEntry {
  return { name, dtype, shape, file: `/model/unet/${name}.st`, offset: 0, byteLength: 0 };
}

function part(...entries: TensorEntry[]) {
  return { folder: "/model/unet", tensors: new Map(entries.map((e) => [e.name, e])) };
}

test("bind maps every wanted name, whatever floating type it has", () => {
  const files = part(entry("a", [2, 3], "float16"), entry("b", [], "bfloat16"), entry("c", [0], "float64"));
  const wanted = [...files.tensors.values()].map(({ name, shape }) => ({ name, shape }));
  expect(bind(wanted, files, { what: "the U-Net" })).toEqual(files.tensors);
});

test("bind names all that does not fit at once: name, file, shape seen and wanted", async () => {
  const files = part(
    entry("conv.weight", [4, 3]),
    entry("flag", [2], "int64"),
    entry("norm.weights", [8]),
    entry("left", [1]),
  );
  const wanted = [
    { name: "conv.weight", shape: [4, 9] },
    { name: "flag", shape: [2] },
    { name: "norm.weight", shape: [8] },
  ];
  const error = await errorOf(() => bind(wanted, files, { what: "the U-Net" }));
  expect(error.code).toBe("tensor_missing");
  expect(error.parts.what).toBe("cannot load the U-Net");
  expect(error.parts.where).toBe("/model/unet");
  expect(error.parts.seen!.split("\n")).toEqual([
    "tensors that do not fit (5):",
    '  missing: "norm.weight" [8] (similar: "norm.weights")',
    '  shape of "conv.weight" in /model/unet/conv.weight.st: seen [4,3], wanted [4,9]',
    '  dtype of "flag" in /model/unet/flag.st: seen int64, wanted float64, float32, float16, bfloat16',
    '  unexpected: "norm.weights" [8] in /model/unet/norm.weights.st',
    '  unexpected: "left" [1] in /model/unet/left.st',
  ]);
});

test("bind: the code is that of the first kind of problem", async () => {
  const code = async (seen: TensorEntry[], names: string[]) => {
    const wanted = names.map((name) => ({ name, shape: [1] }));
    return (await errorOf(() => bind(wanted, part(...seen), { what: "it" }))).code;
  };
  expect(await code([entry("a", [1]), entry("b", [1])], ["a"])).toBe("tensor_unexpected");
  expect(await code([entry("a", [1, 1]), entry("b", [1])], ["a"])).toBe("tensor_shape");
  expect(await code([entry("a", [1], "bool")], ["a"])).toBe("tensor_dtype");
});

test("bind lists ten problems and counts the others", async () => {
  const wanted = Array.from({ length: 25 }, (_, i) => ({ name: `t${i}`, shape: [1] }));
  const { message } = await errorOf(() => bind(wanted, part(), { what: "it" }));
  expect(message.match(/missing:/g)).toHaveLength(10);
  expect(message).toContain("and 15 more");
});

test("bind leaves tolerated tensors alone, and only those", async () => {
  const tolerated = [{ pattern: /^decoder\./, reason: "only the encoder is used" }];
  const files = part(entry("a", [1]), entry("decoder.x", [1]), entry("encoder.decoder.x", [1]));
  const wanted = [{ name: "a", shape: [1] }];
  const { message } = await errorOf(() => bind(wanted, files, { what: "it", tolerated }));
  expect(message).toContain("(1)");
  expect(message).toContain("encoder.decoder.x");
});

test("bind takes a tied tensor under either name, and both", async () => {
  const aliases = { "encoder.embed_tokens.weight": "shared.weight" };
  const wanted = [{ name: "shared.weight", shape: [5] }];
  const shared = entry("shared.weight", [5]);
  const tied = entry("encoder.embed_tokens.weight", [5]);
  for (const [files, taken] of [
    [part(shared), shared],
    [part(tied), tied],
    [part(tied, shared), shared],
  ] as const) {
    expect(bind(wanted, files, { what: "it", aliases }).get("shared.weight")).toBe(taken);
  }
  const odd = part(shared, entry("encoder.embed_tokens.weight", [6]));
  expect((await errorOf(() => bind(wanted, odd, { what: "it", aliases }))).code).toBe("tensor_shape");
});
