import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { parseSchedulerConfig } from "../diffusion/mod.ts";
import type { GenerateRequest } from "./request.ts";
import { type ModelDefaults, resolveRequest } from "./resolve.ts";

const MODEL: ModelDefaults = {
  unit: 64,
  side: 1024,
  profile: "native",
  scheduler: parseSchedulerConfig({ _class_name: "DDPMScheduler" }, "scheduler_config.json"),
};

const resolve = (request: GenerateRequest, model = MODEL) => resolveRequest(request, model, () => 1000);

/** What the request fails with; unknown fields and wrong types are part of what is tested. */
function errorOf(request: unknown, model = MODEL): KandinskyError {
  try {
    resolve(request as GenerateRequest, model);
  } catch (error) {
    if (error instanceof KandinskyError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}

test("resolveRequest fills in the model's and the profile's defaults", () => {
  expect(resolve({ prompt: "a cat" })).toEqual({
    pictures: [{ index: 0, prompt: "a cat", negative: undefined, seed: 1000 }],
    operation: "generate",
    width: 1024,
    height: 1024,
    canvas: { width: 1024, height: 1024 },
    steps: 50,
    guidance: 3,
    guidanceRescale: 0,
    guidanceInterval: undefined,
    sampler: "native",
    spacing: "uniform",
    profile: "native",
    threshold: undefined,
    clip: undefined,
    rng: "keyed",
    batchText: "each",
  });
  const { sampler, steps, profile, guidance } = resolve({ prompt: "a" }, { ...MODEL, profile: "diffusers" });
  expect([sampler, steps, profile, guidance]).toEqual(["ddpm", 25, "diffusers", 3]);
});

test("resolveRequest: what is given wins over the defaults", () => {
  const given = {
    width: 640,
    height: 1920,
    steps: 7,
    guidance: 0,
    guidanceRescale: 0.5,
    guidanceInterval: [100, 800],
    sampler: "ddpm",
    profile: "native",
    threshold: 0.95,
    clip: 2,
    rng: "torch",
    batchText: "joint",
  } as const satisfies Partial<GenerateRequest>;
  expect(resolve({ prompt: "a", ...given })).toMatchObject(given);
});

test("resolveRequest: a sampler of the original brings the original's profile, unless one is named", () => {
  const model = { ...MODEL, profile: "diffusers" } as const;
  const profile = (request: Partial<GenerateRequest>) => resolve({ prompt: "a", ...request }, model).profile;
  expect(profile({ sampler: "native" })).toBe("native");
  expect(profile({ sampler: "flash" })).toBe("native");
  expect(profile({ sampler: "native", profile: "diffusers" })).toBe("diffusers");
  expect(profile({ sampler: "ddpm" })).toBe("diffusers");
});

test("resolveRequest: flash has its own four steps and no guidance", () => {
  const job = resolve({ prompt: "a", sampler: "flash" });
  expect([job.steps, job.guidance]).toEqual([4, 0]);
});

test("resolveRequest numbers pictures prompt by prompt, with seeds counting up", () => {
  const job = resolve({ prompt: ["a", "b"], negative: ["x", "y"], count: 2, seed: 7 });
  expect(job.pictures).toEqual([
    { index: 0, prompt: "a", negative: "x", seed: 7 },
    { index: 1, prompt: "a", negative: "x", seed: 8 },
    { index: 2, prompt: "b", negative: "y", seed: 9 },
    { index: 3, prompt: "b", negative: "y", seed: 10 },
  ]);
});

test("resolveRequest takes a seed for each picture and one negative text for all prompts", () => {
  const job = resolve({ prompt: ["a", "b"], negative: "x", seed: [5, 3] });
  expect(job.pictures.map(({ seed, negative }) => [seed, negative])).toEqual([
    [5, "x"],
    [3, "x"],
  ]);
});

test("resolveRequest draws one seed for a request without, and counts on from it", () => {
  let draws = 0;
  const job = resolveRequest({ prompt: "a", count: 3 }, MODEL, () => {
    draws++;
    return 40;
  });
  expect([draws, job.pictures.map(({ seed }) => seed)]).toEqual([1, [40, 41, 42]]);
});

test.each([
  [{ width: 1000 }, "width", "1000", "the nearest are 960 and 1024"],
  [{ height: 65 }, "height", "65", "the nearest are 64 and 128"],
  [{ width: 63 }, "width", "63", "the smallest is 64"],
])("resolveRequest refuses %j and names the sizes beside it", (size, where, seen, hint) => {
  const error = errorOf({ prompt: "a", ...size });
  expect([error.code, error.parts]).toEqual([
    "size_unit",
    { what: "cannot draw this size", where, seen, wanted: "a multiple of 64", hint },
  ]);
});

test.each([
  ["sampler", "nativ", "native"],
  ["profile", "difusers", "diffusers"],
  ["rng", "torc", "torch"],
])("resolveRequest refuses the %s %s and suggests %s", (where, seen, close) => {
  const error = errorOf({ prompt: "a", [where]: seen });
  expect([error.code, error.parts.where, error.parts.seen]).toEqual(["option_unknown", where, `"${seen}"`]);
  expect(error.parts.wanted).toContain(close);
  expect(error.parts.hint).toBe(`did you mean ${close}?`);
});

test.each([
  ["prompt", undefined],
  ["prompt", []],
  ["prompt", 5],
  ["width", 0],
  ["width", 64.5],
  ["height", -64],
  ["count", 0],
  ["count", 10_001],
  ["seed", -1],
  ["seed", 1.5],
  ["steps", 0],
  ["steps", 1001],
  ["guidance", -0.1],
  ["guidance", Number.NaN],
  ["guidanceRescale", 1.1],
  ["guidanceInterval", [1]],
  ["threshold", 0],
  ["threshold", 1.01],
  ["clip", 0],
])("resolveRequest refuses %s = %j, naming the option", (where, value) => {
  const error = errorOf({ prompt: "a", [where]: value });
  expect([error.code, error.fault, error.parts.where]).toEqual(["option_invalid", "user", where]);
  expect(error.parts.wanted).toBeTruthy();
});

test("resolveRequest refuses an option that does not exist", () => {
  const error = errorOf({ prompt: "a", promt: "b" });
  expect([error.code, error.fault]).toEqual(["option_invalid", "user"]);
  expect(error.message).toContain("promt");
});

test("resolveRequest refuses numbers of negatives and seeds that match nothing", () => {
  const negatives = errorOf({ prompt: ["a", "b"], negative: ["x", "y", "z"] });
  expect([negatives.code, negatives.parts.where, negatives.parts.seen, negatives.parts.wanted]).toEqual([
    "option_invalid",
    "negative",
    "3",
    "1 or 2",
  ]);
  const seeds = errorOf({ prompt: ["a", "b"], count: 2, seed: [1, 2] });
  expect([seeds.code, seeds.parts.where, seeds.parts.seen, seeds.parts.wanted]).toEqual([
    "option_invalid",
    "seed",
    "2",
    "1 or 4",
  ]);
});
