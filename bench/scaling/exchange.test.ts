import { expect, test } from "vitest";
import { soloCommunicator } from "../../src/mpi/mod.ts";
import { planBuckets } from "./buckets.ts";
import { gradientExchange } from "./exchange.ts";

const end = (): never => {
  throw new Error("the end");
};

/** Two processes with equal values, whose sums come when `release` is called; says what was sent when. */
function echo() {
  const sent: number[] = [];
  const waiting: (() => void)[] = [];
  const communicator = {
    ...soloCommunicator(end),
    size: 2,
    sum: (values: Float32Array) => {
      sent.push(values.length);
      return new Promise<void>((done) => {
        waiting.push(() => {
          for (let i = 0; i < values.length; i++) values[i]! *= 2;
          done();
        });
      });
    },
  };
  return {
    communicator,
    sent,
    release: () => {
      for (const go of waiting.splice(0)) go();
    },
  };
}

const TENSORS = [6, 2, 9, 1, 1].map((size, i) => ({ name: `t${i}`, size }));
const give = (size: number, value: number) => new Float32Array(size).fill(value);

test("planBuckets fills buckets from the last tensor; a large one is alone; nothing is lost", () => {
  expect(planBuckets(TENSORS, 16)).toEqual([
    {
      size: 2,
      parts: [
        { name: "t4", size: 1, offset: 0 },
        { name: "t3", size: 1, offset: 1 },
      ],
    },
    { size: 9, parts: [{ name: "t2", size: 9, offset: 0 }] },
    { size: 2, parts: [{ name: "t1", size: 2, offset: 0 }] },
    { size: 6, parts: [{ name: "t0", size: 6, offset: 0 }] },
  ]);
  expect(planBuckets(TENSORS, 1e9).map(({ size }) => size)).toEqual([19]);
  expect(planBuckets([], 16)).toEqual([]);
  for (const bytes of [4, 12, 40, 44, 76]) {
    const plan = planBuckets(TENSORS, bytes);
    expect(plan.flatMap(({ parts }) => parts.map(({ name }) => name))).toEqual([
      "t4",
      "t3",
      "t2",
      "t1",
      "t0",
    ]);
    for (const { size, parts } of plan) expect(size * 4 <= bytes || parts.length === 1).toBe(true);
  }
});

test("gradientExchange sends a bucket when it is whole and those before it are out, before the end", async () => {
  const { communicator, sent, release } = echo();
  const exchange = gradientExchange(communicator, planBuckets(TENSORS, 16));
  exchange.add("t2", give(9, 2));
  exchange.add("t4", give(1, 4));
  expect(sent).toEqual([]);
  exchange.add("t3", give(1, 3));
  expect(sent).toEqual([2, 9]);
  await expect(exchange.finish()).rejects.toThrow("a gradient is missing at the end of a step: t1");
  exchange.add("t0", give(6, 0.5));
  exchange.add("t1", give(2, 1));
  expect(sent).toEqual([2, 9, 2, 6]);
  const finished = exchange.finish();
  release();
  const sums = await finished;
  expect([...sums].map(([name, values]) => [name, ...new Set(values), values.length]).sort()).toEqual([
    ["t0", 1, 6],
    ["t1", 2, 2],
    ["t2", 4, 9],
    ["t3", 6, 1],
    ["t4", 8, 1],
  ]);
});

test("gradientExchange refuses strangers, doubles and other sizes, and tells a failed sum", async () => {
  const broken = { ...soloCommunicator(end), sum: () => Promise.reject(new Error("the wire is cut")) };
  const exchange = gradientExchange(broken, planBuckets(TENSORS, 16));
  expect(() => exchange.add("t9", give(1, 1))).toThrow("t9: seen a tensor in no bucket");
  expect(() => exchange.add("t2", give(8, 1))).toThrow("t2: seen 8 values, wanted 9");
  for (const { name, size } of TENSORS) exchange.add(name, give(size, 1));
  expect(() => exchange.add("t2", give(9, 1))).toThrow("a second one in the same step");
  await expect(exchange.finish()).rejects.toThrow("the wire is cut");
});

test("gradientExchange alone gives back what it was given, step after step", async () => {
  const exchange = gradientExchange(soloCommunicator(end), planBuckets(TENSORS, 40));
  for (const step of [1, 2]) {
    for (const { name, size } of TENSORS) exchange.add(name, give(size, step));
    const sums = await exchange.finish();
    expect([...sums.values()].every((values) => values.every((x) => x === step))).toBe(true);
  }
});
