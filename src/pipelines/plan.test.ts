import { expect, test } from "vitest";
import { type Form, type Plan, planStages, type StageNeed } from "./plan.ts";

const GIB = 2 ** 30;
const BASE = 0.25e9;

/** One form; what stays loaded takes as much as what runs, unless said. */
const form = (
  precision: Form["precision"],
  weightBytes: number,
  privateBytes: number,
  idleBytes = privateBytes,
): Form => ({
  precision,
  dtype: precision === "stored" ? "float16" : precision,
  weightBytes,
  privateBytes,
  idleBytes,
});

/** The released model at 512x512 with guidance, 25 steps: bytes as `stageCosts` reckons them. */
const FULL: readonly StageNeed[] = [
  {
    stage: "encode",
    part: "text_encoder",
    passes: 1,
    stays: false,
    forms: [form("stored", 17.44e9, 0.92e9)],
  },
  {
    stage: "prepare",
    part: "unet",
    passes: 1,
    stays: true,
    forms: [
      form("float32", 4.46e9, 0.65e9),
      form("stored", 2.27e9, 0.89e9),
      form("int8", 1.2e9, 0.89e9),
      form("int4", 0.64e9, 0.89e9),
    ],
  },
  {
    stage: "step",
    part: "unet",
    passes: 25,
    stays: true,
    forms: [
      form("float32", 7.69e9, 0.44e9),
      form("stored", 3.84e9, 0.97e9),
      form("int8", 2.04e9, 0.97e9),
      form("int4", 1.08e9, 0.97e9),
    ],
  },
  {
    stage: "decode",
    part: "movq",
    passes: 1,
    stays: true,
    forms: [form("float32", 0.64e9, 2.1e9, 0.04e9)],
  },
];

function planned(gib: number, needs = FULL): Plan {
  const plan = planStages(needs, { bytes: gib * GIB, baseBytes: BASE });
  if ("stages" in plan) return plan;
  throw new RangeError(`no plan: ${plan.stage} needs ${plan.neededBytes}`);
}

test.each([
  [24, "float32", true, false],
  [20, "float32", true, false],
  [16, "float32", true, false],
  [10, "float32", true, false],
  [8.8, "float32", false, false],
  [8, "stored", true, false],
  [6, "stored", true, false],
  [5.2, "stored", false, false],
  [4.5, "int8", true, false],
  [3.5, "int8", false, false],
  [3, "int4", false, false],
  [2.2, "int4", false, true],
] as const)("planStages of the full model in %d GiB: %s, kept loaded %s, read again %s", (gib, ...wanted) => {
  const { stages, keepsLoaded } = planned(gib);
  const step = stages.find(({ stage }) => stage === "step")!;
  expect([step.precision, keepsLoaded, step.rereads]).toEqual(wanted);
  expect(stages.find(({ stage }) => stage === "prepare")!.precision).toBe(step.precision);
});

test("planStages never plans beyond its budget, and more memory never makes a worse plan", () => {
  let before: { readonly rank: number; readonly gib: number } | undefined;
  for (let gib = 1; gib <= 40; gib += 0.125) {
    const plan = planStages(FULL, { bytes: gib * GIB, baseBytes: BASE });
    if (!("stages" in plan)) {
      expect(plan.neededBytes, `${gib} GiB`).toBeGreaterThan(gib * GIB);
      expect(before, `a plan for less than ${gib} GiB`).toBeUndefined();
      continue;
    }
    for (const { expectedBytes, stage } of plan.stages) {
      expect(expectedBytes, `${stage} in ${gib} GiB`).toBeLessThanOrEqual(gib * GIB);
    }
    const step = plan.stages.find(({ stage }) => stage === "step")!;
    const fits = step.expectedBytes + step.weightBytes <= gib * GIB;
    if (!step.rereads) expect(fits, `weights in ${gib} GiB`).toBe(true);
    // Precision first, then not reading again.
    const rank = ["int4", "int8", "stored", "float32"].indexOf(step.precision) + (step.rereads ? 0 : 0.5);
    expect(rank, `${gib} GiB after ${before?.gib}`).toBeGreaterThanOrEqual(before?.rank ?? 0);
    before = { rank, gib };
  }
  expect(before?.rank).toBe(3.5);
});

test("planStages counts what stays loaded, and nothing beside a stage where each makes room", () => {
  const kept = planned(16);
  const decode = kept.stages.find(({ stage }) => stage === "decode")!;
  expect(decode.beside).toEqual(["prepare", "step"]);
  expect(decode.expectedBytes).toBe(BASE + 2.1e9 + 0.65e9 + 0.44e9);
  expect(kept.expectedBytes).toBe(decode.expectedBytes);
  const encode = kept.stages.find(({ stage }) => stage === "encode")!;
  expect(encode.expectedBytes).toBe(BASE + 0.92e9 + 0.65e9 + 0.44e9 + 0.04e9);
  const apart = planned(3);
  expect(apart.stages.map(({ beside }) => beside)).toEqual([[], [], [], []]);
  expect(apart.expectedBytes).toBe(BASE + 2.1e9);
});

test("planStages names the stage that has too little, and what it needs", () => {
  expect(planStages(FULL, { bytes: 2e9, baseBytes: BASE })).toEqual({
    stage: "decode",
    neededBytes: BASE + 2.1e9,
  });
});

test("planStages reads weights that are used once past a budget that they do not fit into", () => {
  const [encode] = planned(3).stages;
  expect([encode!.weightBytes > 3 * GIB, encode!.rereads]).toEqual([true, false]);
});
