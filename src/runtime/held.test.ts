import { expect, test } from "vitest";
import { float32 } from "../tensor/mod.ts";
import { startEngine } from "./mod.ts";
import { failure, ports, source, values } from "./test-support.ts";

/** y = x * x + w: elementwise, and nothing reads x or w after y is written. */
const square = source("square", {
  inputs: ports("float32", [2], "x", "w"),
  outputs: ports("float32", [2], "y"),
  nodes: [
    ["Mul", ["x", "x"], "product"],
    ["Add", ["product", "w"], "y"],
  ],
});

test("Engine.hold keeps a tensor that runs can take and read gives back", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const program = await engine.load(square);
  const [x, w] = [
    await engine.hold(float32([2], [2, 3])),
    await engine.hold({ dtype: "float32", shape: [2] }),
  ];
  expect(values((await program.run({ x, w }, { y: "return" })).y)).toEqual([4, 9]);
  expect(values(await engine.read(x))).toEqual([2, 3]);
  expect(values(await engine.read(w))).toEqual([0, 0]);
  await engine.release([x]);
  expect((await failure(engine.read(x))).message).toContain("cannot read: seen the held tensor was released");
});

test("Program.run writes over a held tensor, a feed of the same run too", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const program = await engine.load(square);
  const x = float32([2], [2, 3]);
  const [target, w] = [await engine.hold(float32([2], [7, 7])), await engine.hold(float32([2], [1, 1]))];
  expect((await program.run({ x, w }, { y: target })).y).toBe(target);
  expect(values(await engine.read(target))).toEqual([5, 10]);
  await program.run({ x, w }, { y: w });
  await program.run({ x, w }, { y: w });
  expect(values(await engine.read(w))).toEqual([9, 19]);
});

test("Program.run refuses to write over a tensor that does not fit or is gone", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const program = await engine.load(square);
  const feeds = { x: float32([2], [2, 3]), w: float32([2], [0, 0]) };
  const long = await engine.hold({ dtype: "float32", shape: [3] });
  expect((await failure(program.run(feeds, { y: long }))).message).toBe(
    "cannot run square: fetch y: seen [3], wanted [2]",
  );
  await engine.release(long);
  expect((await failure(program.run(feeds, { y: long }))).message).toBe(
    "cannot run square: seen the held tensor of fetch y was released or belongs to another engine",
  );
});

test("Engine.view is the same memory, Engine.write changes it, and runs work on both", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const program = await engine.load(square);
  const whole = await engine.hold(float32([6], [1, 2, 3, 4, 5, 6]));
  const [first, last] = [await engine.view(whole, 0, [2]), await engine.view(whole, 4, [2])];
  await engine.write(first, float32([2], [7, 8]));
  await program.run({ x: first, w: last }, { y: last });
  expect(values(await engine.read(whole))).toEqual([7, 8, 3, 4, 54, 70]);
  expect((await failure(engine.view(whole, 5, [2]))).message).toBe(
    "cannot view a part of a held tensor: seen elements 5 to 7, wanted 0 to 6",
  );
  expect((await failure(engine.write(first, float32([3], [1, 2, 3])))).message).toBe(
    "cannot write over a held tensor: seen [3], wanted [2]",
  );
});
