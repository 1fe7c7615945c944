import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { float32, type Tensor } from "../tensor/mod.ts";
import { type Held, startEngine } from "./mod.ts";
import { arithmetic, failure, ports, source, type TinyModel, values } from "./test-support.ts";

const MIB = 2 ** 20;
const folder = mkdtempSync(join(tmpdir(), "kandinsky-runtime-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** y = x w for a weight of 200 MiB in `w.bin` (zeros, a sparse file). */
function mapped(location: string): TinyModel {
  return {
    inputs: ports("float32", [1, 10240], "x"),
    outputs: ports("float32", [1, 5120], "y"),
    nodes: [["Gemm", ["x", "w"], "y", { transB: 1 }]],
    weights: [
      {
        name: "w",
        dtype: "float32",
        shape: [5120, 10240],
        from: { location, offset: 0, length: 200 * MIB },
      },
    ],
  };
}

function sparseFile(name: string, bytes: number): string {
  const path = join(folder, name);
  const file = openSync(path, "w");
  ftruncateSync(file, bytes);
  closeSync(file);
  return path;
}

test("Program.run returns the outputs that were asked for, run after run", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const program = await engine.load(arithmetic([2, 2]));
  expect(program.inputs).toEqual([{ name: "x", dtype: "float32", shape: [2, 2] }]);
  const first = await program.run({ x: float32([2, 2], [1, 2, 3, 4]) }, { y: "return", z: "return" });
  const second = await program.run({ x: float32([2, 2], [5, 6, 7, 8]) }, { z: "return" });
  expect(values(first.y)).toEqual([2, 4, 6, 8]);
  expect(values(first.z)).toEqual([1, 4, 9, 16]);
  expect(Object.keys(second)).toEqual(["z"]);
  expect(second.z).toMatchObject({ dtype: "float32", shape: [2, 2] });
  expect(values(second.z)).toEqual([25, 36, 49, 64]);
});

test("Program.run takes dimensions known only at run time, and a view into a larger array", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const program = await engine.load(arithmetic(["n", 2]));
  for (const n of [1, 3]) {
    const data = Float32Array.from({ length: 100 }, (_, i) => i).subarray(7, 7 + 2 * n);
    const { y } = await program.run({ x: float32([n, 2], data) }, { y: "return" });
    expect(y.shape).toEqual([n, 2]);
    expect(values(y)).toEqual([...data].map((v) => 2 * v));
  }
});

test("Program.run carries every element type that ONNX Runtime's binding knows", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const cases: readonly Tensor[] = [
    { dtype: "float64", shape: [2], data: Float64Array.of(0.1, -2) },
    { dtype: "float16", shape: [2], data: Uint16Array.of(0x3c00, 0xc000) },
    { dtype: "int64", shape: [2], data: BigInt64Array.of(-(2n ** 60n), 5n) },
    { dtype: "int32", shape: [2], data: Int32Array.of(-7, 7) },
    { dtype: "int16", shape: [2], data: Int16Array.of(-7, 7) },
    { dtype: "int8", shape: [2], data: Int8Array.of(-7, 7) },
    { dtype: "uint8", shape: [2], data: Uint8Array.of(250, 7) },
    { dtype: "bool", shape: [2], data: Uint8Array.of(0, 1) },
    { dtype: "float32", shape: [0, 3], data: new Float32Array(0) },
  ];
  for (const value of cases) {
    const model: TinyModel = {
      inputs: ports(value.dtype, value.shape, "x"),
      outputs: ports(value.dtype, value.shape, "y"),
      nodes: [["Identity", ["x"], "y"]],
    };
    const program = await engine.load(source("identity", model));
    expect((await program.run({ x: value }, { y: "return" })).y).toEqual(value);
  }
});

test("Held tensors outlive later runs and their program, and feed another program", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const [a, b] = await Promise.all([engine.load(arithmetic([3])), engine.load(arithmetic(["n"]))]);
  const one = await a.run({ x: float32([3], [1, 2, 3]) }, { y: "hold", z: "return" });
  expect(one.y).toMatchObject({ dtype: "float32", shape: [3] });
  const two = await a.run({ x: float32([3], [7, 7, 7]) }, { y: "hold" });
  await a.release();
  const { z } = await b.run({ x: one.y }, { z: "return" });
  expect(values(z)).toEqual([4, 16, 36]);
  expect(values((await b.run({ x: two.y }, { y: "return" })).y)).toEqual([28, 28, 28]);
  expect(values((await b.run({ x: one.y }, { y: "return" })).y)).toEqual([4, 8, 12]);
  await engine.release([one.y, two.y]);
  await engine.release(one.y);
  const { code, message } = await failure(b.run({ x: one.y }, { y: "return" }));
  expect(code).toBe("graph_invalid");
  expect(message).toContain("held tensor of feed x was released");
});

test("Held outputs that merely pass an input through keep their values", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const pass = await engine.load(
    source("pass", {
      inputs: ports("float32", [1000], "x"),
      outputs: ports("float32", [1000], "y"),
      nodes: [["Identity", ["x"], "y"]],
    }),
  );
  const held: Held[] = [];
  for (let i = 0; i < 20; i++) {
    const { y } = await pass.run({ x: float32([1000], new Array(1000).fill(i)) }, { y: "hold" });
    held.push(y);
  }
  await engine.release(held.splice(10, 5));
  for (const [i, value] of held.entries()) {
    const { y } = await pass.run({ x: value }, { y: "return" });
    expect(new Set(values(y))).toEqual(new Set([i < 10 ? i : i + 5]));
  }
});

test("Engine.release gives the memory of held tensors back", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const n = 10 * MIB;
  const fill = await engine.load(
    source(
      "fill",
      {
        inputs: ports("int64", [1], "size"),
        outputs: ports("float32", ["n"], "y"),
        nodes: [["ConstantOfShape", ["size"], "y"]],
      },
      { arena: false },
    ),
  );
  const size: Tensor = { dtype: "int64", shape: [1], data: BigInt64Array.of(BigInt(n)) };
  const before = (await engine.memory()).privateBytes;
  const held: Held[] = [];
  for (let i = 0; i < 5; i++) held.push((await fill.run({ size }, { y: "hold" })).y);
  const during = (await engine.memory()).privateBytes;
  await engine.release(held);
  const privateAfter = async () => ((await engine.memory()).privateBytes - before) / MIB;
  expect((during - before) / MIB, "five held tensors of 40 MiB").toBeGreaterThan(190);
  await expect.poll(privateAfter, { timeout: 5000, message: "private MiB after release" }).toBeLessThan(60);
});

test("Program.run names the feed, what it saw and what it wanted", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const program = await engine.load(arithmetic([2, 2]));
  const x = float32([2, 2], [1, 2, 3, 4]);
  const cases: readonly [Record<string, Tensor>, Record<string, "return">, string, string][] = [
    [{}, { y: "return" }, "tensor_missing", "feed x: seen nothing, wanted float32[2,2]"],
    [{ x, xx: x }, { y: "return" }, "tensor_unexpected", "feed xx: seen xx, wanted x"],
    [{ x: float32([4], [1, 2, 3, 4]) }, { y: "return" }, "tensor_shape", "feed x: seen [4], wanted [2,2]"],
    [{ x: float32([2, 1], [1, 2]) }, { y: "return" }, "tensor_shape", "feed x: seen [2,1], wanted [2,2]"],
    [
      { x: { dtype: "int32", shape: [2, 2], data: new Int32Array(4) } },
      { y: "return" },
      "tensor_dtype",
      "feed x: seen int32, wanted float32",
    ],
    [{ x }, { v: "return" }, "tensor_unexpected", "fetch v: seen v, wanted y"],
    [{ x }, {}, "tensor_missing", "fetches: seen none, wanted at least one output"],
  ];
  for (const [feeds, fetches, code, text] of cases) {
    const seen = await failure(program.run(feeds, fetches));
    expect(seen).toMatchObject({ code, message: `cannot run arithmetic: ${text}` });
  }
  expect(values((await program.run({ x }, { y: "return" })).y)).toEqual([2, 4, 6, 8]);
});

test("Engine.load names a bad model and says why; the engine goes on", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const garbage = await failure(engine.load({ name: "the U-Net", onnx: Uint8Array.of(1, 2, 3) }));
  expect(garbage.code).toBe("graph_invalid");
  expect(garbage.message).toMatch(/^cannot load the U-Net: seen .*protobuf parsing failed/);
  const model: TinyModel = {
    inputs: ports("float32", [2, 3], "x"),
    outputs: ports("float32", [2, 3], "y"),
    nodes: [["MatMul", ["x", "x"], "y"]],
  };
  const shapes = await failure(engine.load(source("a product", model)));
  expect(shapes.message).toMatch(/^cannot load a product: seen .*Incompatible dimensions/);
  const unknown = await failure(
    engine.load(source("bf16", { ...model, ...bfloat16Ports(), nodes: [["Identity", ["x"], "y"]] })),
  );
  expect(unknown).toMatchObject({ code: "graph_invalid" });
  expect(unknown.message).toMatch(/^cannot load bf16: .*other types than bfloat16/);
  const program = await engine.load(arithmetic([1]));
  expect(values((await program.run({ x: float32([1], [3]) }, { z: "return" })).z)).toEqual([9]);
});

function bfloat16Ports() {
  return { inputs: ports("bfloat16", [1], "x"), outputs: ports("bfloat16", [1], "y") };
}

test("Program.run reports memory that cannot be had, and the engine goes on", async () => {
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const model: TinyModel = {
    inputs: ports("int64", [1], "size"),
    outputs: ports("float32", ["n"], "y"),
    nodes: [["ConstantOfShape", ["size"], "y"]],
  };
  const fill = await engine.load(source("fill", model));
  const size = (n: bigint): Tensor => ({ dtype: "int64", shape: [1], data: BigInt64Array.of(n) });
  const seen = await failure(fill.run({ size: size(2n ** 50n) }, { y: "hold" }));
  expect(seen.code, seen.message).toBe("memory_exceeded");
  expect(seen.message).toContain("cannot run fill");
  expect(values((await fill.run({ size: size(2n) }, { y: "return" })).y)).toEqual([0, 0]);
});

test.skipIf(process.platform !== "linux")(
  "Engine.load maps external weights instead of copying",
  async () => {
    sparseFile("w.bin", 200 * MIB);
    await using engine = await startEngine({ device: "cpu", threads: 1 });
    const before = (await engine.memory()).privateBytes;
    const program = await engine.load(
      source("mapped", mapped("w.bin"), {
        weightsFolder: folder,
        optimization: "extended",
        sessionConfig: { "session.disable_prepacking": "1" },
      }),
    );
    const { y } = await program.run({ x: float32([1, 10240], new Float32Array(10240)) }, { y: "return" });
    expect(y.shape).toEqual([1, 5120]);
    const { privateBytes, peakBytes } = await engine.memory();
    expect((privateBytes - before) / MIB, "private MiB for 200 MiB of weights").toBeLessThan(20);
    expect(peakBytes / MIB, "the mapped pages were read").toBeGreaterThan(200);
  },
);

test("Engine.load refuses external weights that are missing, short or outside the folder", async () => {
  const path = sparseFile("v.bin", 200 * MIB);
  const inner = mkdtempSync(join(folder, "inner-"));
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  const load = (location: string, weightsFolder = folder) =>
    failure(engine.load(source("weights", mapped(location), { weightsFolder })));
  const missing = await load("u.bin");
  expect(missing.code, missing.message).toBe("file_missing");
  expect(missing.message).toContain("u.bin");
  for (const location of ["../v.bin", path]) {
    const outside = await load(location, inner);
    expect(outside.code, outside.message).toBe("file_escapes");
  }
  if (process.platform !== "win32") {
    symlinkSync(path, join(inner, "link.bin"));
    const link = await load("link.bin", inner);
    expect(link.code, link.message).toBe("file_escapes");
    symlinkSync(folder, join(inner, "folder"));
    await engine.load(source("weights", mapped("v.bin"), { weightsFolder: join(inner, "folder") }));
  }
  truncateSync(path, 100 * MIB);
  const short = await load("v.bin");
  expect(short.code, short.message).toBe("file_corrupt");
});

test("ProgramSource.saveOptimizedTo writes a model that loads without optimising again", async () => {
  const file = join(folder, "saved.onnx");
  await using engine = await startEngine({ device: "cpu", threads: 1 });
  await engine.load({ ...arithmetic([2]), saveOptimizedTo: file });
  const again = await engine.load({ name: "saved", onnx: readFileSync(file), optimization: "disabled" });
  expect(values((await again.run({ x: float32([2], [3, 4]) }, { z: "return" })).z)).toEqual([9, 16]);
});
