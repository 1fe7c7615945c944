import { expect, test } from "vitest";
import {
  KANDINSKY3_MOVQ,
  KANDINSKY3_UNET,
  MOVQ_NAMES,
  movqParameters,
  type NameRow,
  PROJECTION_NAMES,
  renamed,
  UNET_NAMES,
  unetParameters,
} from "./mod.ts";
import { readJsonFile } from "./test-support.ts";

const TOP = 3;

/** Pairs of names are renamed both ways, and no two names meet. */
function checkPairs(pairs: readonly (readonly [string, string])[], table: readonly NameRow[]): void {
  for (const [native, diffusers] of pairs) {
    expect(renamed(native, table, "diffusers", TOP), native).toBe(diffusers);
    expect(renamed(diffusers, table, "native", TOP), diffusers).toBe(native);
  }
}

test("renamed: the U-Net's names are those of the reference, both ways", () => {
  const { unet, projection } = readJsonFile("golden/native/unet-keys.json") as Record<
    "unet" | "projection",
    Record<string, string>
  >;
  const withLast = (names: Record<string, string>) =>
    Object.entries(names).map(([a, b]) => [`${a}.weight`, `${b}.weight`] as const);
  expect(Object.keys(unet)).toHaveLength(604);
  checkPairs(withLast(unet), UNET_NAMES);
  checkPairs(withLast(projection), PROJECTION_NAMES);
});

test("renamed: MoVQ's names are those of the reference, both ways", () => {
  const { rows } = readJsonFile("golden/native/movq-keys.json") as { rows: [string, string][] };
  expect(rows.length).toBeGreaterThan(200);
  checkPairs(rows, MOVQ_NAMES);
});

test.each([
  ["U-Net", unetParameters(KANDINSKY3_UNET), [...UNET_NAMES, ...PROJECTION_NAMES]],
  ["MoVQ", movqParameters(KANDINSKY3_MOVQ), MOVQ_NAMES],
] as const)("renamed is a bijection on the released %s", (_, parameters, table) => {
  const natives = parameters.map(({ name }) => renamed(name, table, "native", TOP));
  expect(natives).not.toContain(undefined);
  expect(new Set(natives).size).toBe(parameters.length);
  const back = natives.map((name) => renamed(name!, table, "diffusers", TOP));
  expect(back).toEqual(parameters.map(({ name }) => name));
});

test("renamed knows no other names", () => {
  for (const name of [
    "conv_in.weight",
    "down_samples.x.self_attention_block.a",
    "unet.in_layer.bias",
    "mid.x",
  ]) {
    expect(renamed(name, UNET_NAMES, "diffusers", TOP), name).toBeUndefined();
  }
  expect(renamed("down_blocks.1.attentions.0.attention.to_q.weight", UNET_NAMES, "native", TOP)).toBe(
    "down_samples.1.self_attention_block.attention.to_query.weight",
  );
});
