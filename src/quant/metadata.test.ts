import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { parseQuantization, QUANTIZATION_KEY, quantizationMetadata, type StoredForm } from "./mod.ts";

const FORM: StoredForm = { bits: 4, block: 32, symmetric: true, order: "rows", shape: [6, 64] };

function errorOf(text: string): KandinskyError {
  try {
    parseQuantization({ [QUANTIZATION_KEY]: text }, "unet/weights.safetensors");
  } catch (error) {
    if (error instanceof KandinskyError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}

const withForm = (change: object) => JSON.stringify({ version: 1, tensors: { w: { ...FORM, ...change } } });

test("parseQuantization reads what quantizationMetadata writes", () => {
  const forms = new Map([
    ["w", FORM],
    ["v", { ...FORM, bits: 8, block: 128, symmetric: false, order: "taps", shape: [3, 32, 3, 3] } as const],
  ]);
  expect(parseQuantization(quantizationMetadata(forms), "x")).toEqual(forms);
  expect(parseQuantization({ format: "pt" }, "x").size).toBe(0);
});

test("parseQuantization names a version that it does not know, and the file", () => {
  const { code, parts } = errorOf(JSON.stringify({ version: 2, tensors: {} }));
  expect([code, parts.where, parts.seen]).toEqual([
    "quantization_unknown",
    "unet/weights.safetensors",
    "version 2",
  ]);
  expect(parts.hint).toContain("kandinsky quantize");
});

test.each([
  ["bits", { bits: 3 }],
  ["block", { block: 16 }],
  ["symmetric", { symmetric: "yes" }],
  ["order", { order: "spiral" }],
])("parseQuantization names an unknown %s and the tensor", (key, change) => {
  const { code, parts } = errorOf(withForm(change));
  expect(code).toBe("quantization_unknown");
  expect(parts.where).toContain('"w"');
  expect(parts.seen).toContain(JSON.stringify(Object.values(change)[0]));
  expect(parts.seen).toContain(key);
});

test.each([
  ["no JSON", "{"],
  ["a list", "[]"],
  ["no tensors", JSON.stringify({ version: 1 })],
  ["a form that is none", JSON.stringify({ version: 1, tensors: { w: 4 } })],
  ["a shape without such rows", withForm({ order: "taps" })],
  ["a negative shape", withForm({ shape: [-6, 64] })],
])("parseQuantization refuses %s", (_, text) => {
  expect(errorOf(text).code).toBe("file_corrupt");
});
