import { afterAll, beforeAll, expect, test } from "vitest";
import { encodeOnnx } from "../onnx/mod.ts";
import { type Engine, startEngine } from "../runtime/mod.ts";
import { cast, type Tensor } from "../tensor/mod.ts";
import { interpret } from "./mod.ts";
import { COMPUTING_OPS, type RandomCase, randomCase } from "./test-support.ts";

/** Cases of each operation. */
const SEEDS = 10;

/** Largest difference over the largest expected magnitude (at least 1): a few float32 roundings. */
const TOLERANCE = 5e-6;

/** How a model is prepared: as the runtime does by itself, and as the pipelines ask for. */
const PREPARATIONS = {
  default: {},
  disabled: { optimization: "disabled", sessionConfig: { "session.disable_prepacking": "1" } },
} as const;
type Preparation = (typeof PREPARATIONS)[keyof typeof PREPARATIONS];

const worstByOp: Record<string, string> = {};
let engine: Engine;
let block: number;

beforeAll(async () => {
  engine = await startEngine({ device: "cpu", threads: 1 });
  block = await runtimeBlock();
});

afterAll(async () => {
  await engine[Symbol.asyncDispose]();
  // The figures are what this file is for; a passing test would hide them.
  console.info("worst differences to ONNX Runtime", worstByOp);
});

test.each(COMPUTING_OPS)(
  "encodeOnnx of %s computes in ONNX Runtime what the interpreter computes",
  async (op) => {
    let worst = { difference: -1, seed: -1, how: "" };
    for (let seed = 0; seed < SEEDS; seed++) {
      const one = randomCase(op, seed, block);
      const expected = interpret(one.graph, one.feeds, noParameters).get("result")!;
      for (const [how, preparation] of Object.entries(PREPARATIONS)) {
        const seen = await runOnnx(one, `${op} ${seed}`, preparation);
        expect([seen.dtype, seen.shape]).toEqual([expected.dtype, expected.shape]);
        const difference = relativeDifference(seen, expected);
        if (!(difference <= worst.difference)) worst = { difference, seed, how };
      }
    }
    worstByOp[op] = worst.difference.toExponential(1);
    expect(worst.difference, `worst of ${op}, at seed ${worst.seed}, ${worst.how}`).toBeLessThanOrEqual(
      TOLERANCE,
    );
  },
);

async function runOnnx(
  { graph, feeds }: RandomCase,
  name: string,
  preparation: Preparation,
): Promise<Tensor> {
  const onnx = encodeOnnx(graph, noParameters);
  const program = await engine.load({ name, onnx, ...preparation });
  const { result } = await program.run(feeds, { result: "return" });
  await program.release();
  return result;
}

function relativeDifference(seen: Tensor, expected: Tensor): number {
  const [a, b] = [cast(seen, "float64").data, cast(expected, "float64").data];
  expect(a.length).toBe(b.length);
  let difference = 0;
  let largest = 1;
  for (let i = 0; i < b.length; i++) {
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    largest = Math.max(largest, Math.abs(b[i]!));
  }
  return difference / largest;
}

/** Channels in a block of this machine's convolutions: 16 or 8, by its vector registers. */
async function runtimeBlock(): Promise<number> {
  for (const size of [16, 8]) {
    const one = randomCase("toBlocked", 1, size);
    const expected = interpret(one.graph, one.feeds, noParameters).get("result")!;
    const seen = await runOnnx(one, `block of ${size}`, PREPARATIONS.disabled);
    if (seen.data.length === expected.data.length && relativeDifference(seen, expected) === 0) return size;
  }
  throw new Error("ONNX Runtime has blocks of neither 16 nor 8 channels");
}

function noParameters(name: string): never {
  throw new Error(`no parameter ${name}`);
}
