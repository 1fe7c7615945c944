import { afterAll, beforeAll, expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { buildGraph, type Graph, matmul, mul } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import { encodeOnnx } from "../onnx/mod.ts";
import { type Engine, startEngine } from "../runtime/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { mean, type OptimizerConfig, openTrainer, squared, type TrainingState } from "./mod.ts";
import { updateGraph, updateNumbers } from "./optimizer.ts";

const optimizer: OptimizerConfig = {
  betas: [0.9, 0.98],
  epsilon: 1e-8,
  weightDecay: 0.01,
  decays: ({ shape }) => shape.length > 1,
  clip: 0.1,
  halfLives: [50],
};

let engine: Engine;
beforeAll(async () => {
  engine = await startEngine({ device: "cpu", threads: 1 });
});
afterAll(() => engine[Symbol.asyncDispose]());

/** y = (x W) scale against a target, rows of a batch at a time; `frozen` takes part and is not trained. */
function regression(rows: number): Graph {
  return buildGraph((builder) => {
    const x = builder.input("x", "float32", [rows, 3]);
    const y = mul(matmul(x, builder.parameter("w", [3, 2])), builder.parameter("scale", [2]));
    const made = mul(y, builder.parameter("frozen", [1]));
    return { loss: mean(squared(made, builder.input("target", "float32", [rows, 2]))) };
  });
}

const parameters = new Map([
  ["w", float32([3, 2], [0.1, -0.2, 0.3, 0.4, -0.5, 0.6])],
  ["scale", float32([2], [1, 1.5])],
  ["frozen", float32([1], [2])],
]);
const batch = {
  x: float32([4, 3], [1, 2, 3, -1, 0.5, 2, 0.25, -2, 1, 3, 1, -1]),
  target: float32([4, 2], [1, 0, 0.5, -1, 2, 1, -0.5, 0.25]),
};

function open(state: TrainingState = { updates: 0, samples: 0, parameters }) {
  return openTrainer({ engine, trained: ["w", "scale"], optimizer, state });
}

const options = { learningRate: 0.05, samples: 4 };
const numbers = (t: Tensor) => [...(t.data as Float32Array)];

test("Trainer.step lowers the loss, leaves frozen parameters alone and counts", async () => {
  const trainer = await open();
  const program = await trainer.prepare("regression", regression(4));
  const losses: number[] = [];
  for (let i = 0; i < 30; i++) losses.push((await trainer.step(program, [batch], options)).loss);
  expect(losses.at(-1)!).toBeLessThan(0.3 * losses[0]!);
  const state = await trainer.state();
  expect([state.updates, state.samples]).toEqual([30, 120]);
  expect([...state.parameters.keys()].sort()).toEqual(["scale", "w"]);
  const { loss } = await trainer.evaluate(program, batch);
  const known = withFrozen(state).parameters;
  const expected = interpret(regression(4), batch, (name) => known.get(name)!).get("loss")!.data[0];
  expect(Math.abs((loss!.data[0] as number) - (expected as number))).toBeLessThan(1e-6);
  expect(numbers(state.averages[0]!.get("w")!)).not.toEqual(numbers(state.parameters.get("w")!));
});

test("Trainer.step on parts of a batch is the step on the whole batch", async () => {
  const [whole, parts] = [await open(), await open()];
  const half = (from: number) => ({
    x: float32([2, 3], numbers(batch.x).slice(3 * from, 3 * from + 6)),
    target: float32([2, 2], numbers(batch.target).slice(2 * from, 2 * from + 4)),
  });
  const [all, some] = [
    await whole.prepare("whole", regression(4)),
    await parts.prepare("parts", regression(2)),
  ];
  let worst = 0;
  for (let i = 0; i < 3; i++) {
    const a = await whole.step(all, [batch], options);
    const b = await parts.step(some, [half(0), half(2)], options);
    worst = Math.max(worst, Math.abs(a.loss - b.loss), Math.abs(a.gradientNorm - b.gradientNorm));
  }
  const [a, b] = [await whole.state(), await parts.state()];
  for (const name of ["w", "scale"]) {
    numbers(a.parameters.get(name)!).forEach((value, i) => {
      worst = Math.max(worst, Math.abs(value - numbers(b.parameters.get(name)!)[i]!));
    });
  }
  expect(worst).toBeLessThan(2e-6);
});

test("Trainer.rescale multiplies a parameter and its average, and fits its moments to smaller gradients", async () => {
  const trainer = await open();
  const program = await trainer.prepare("regression", regression(4));
  await trainer.step(program, [batch], options);
  const before = await trainer.state();
  await trainer.rescale("w", 4);
  const after = await trainer.state();
  const ratios = (a?: Tensor, b?: Tensor) => new Set(numbers(a!).map((x, i) => x / numbers(b!)[i]!));
  expect(ratios(after.parameters.get("w"), before.parameters.get("w"))).toEqual(new Set([4]));
  expect(ratios(after.averages[0]!.get("w"), before.averages[0]!.get("w"))).toEqual(new Set([4]));
  expect(ratios(after.first.get("w"), before.first.get("w"))).toEqual(new Set([1 / 4]));
  expect(ratios(after.second.get("w"), before.second.get("w"))).toEqual(new Set([1 / 16]));
  expect(ratios(after.parameters.get("scale"), before.parameters.get("scale"))).toEqual(new Set([1]));
});

/** With the frozen parameters, which a state does not hold. */
function withFrozen(state: TrainingState): TrainingState {
  return { ...state, parameters: new Map([...parameters, ...state.parameters]) };
}

test("openTrainer goes on from a state as if nothing had happened, bit for bit", async () => {
  const steady = await open();
  const program = await steady.prepare("regression", regression(4));
  for (let i = 0; i < 2; i++) await steady.step(program, [batch], options);
  const resumed = await open(withFrozen(await steady.state()));
  const again = await resumed.prepare("regression", regression(4));
  for (let i = 0; i < 2; i++) {
    expect(await resumed.step(again, [batch], options)).toEqual(await steady.step(program, [batch], options));
  }
  expect(await resumed.state()).toEqual(await steady.state());
});

test("updates in place give what the same graph gives into fresh tensors", async () => {
  const shapes = [{ name: "w", shape: [40, 50] }];
  const graph = updateGraph(shapes, optimizer);
  const program = await engine.load({
    name: "update",
    onnx: encodeOnnx(graph, (name) => {
      throw new Error(name);
    }),
    optimization: "disabled",
  });
  const roles = ["gradient", "first", "second", "parameter", "average/0"];
  let fresh: Record<string, Tensor> = Object.fromEntries(
    roles.map((role, r) => [
      `${role}/w`,
      float32(
        [40, 50],
        Float32Array.from({ length: 2000 }, (_, i) => Math.abs(Math.sin(i * (r + 1)))),
      ),
    ]),
  );
  const held = new Map<string, Awaited<ReturnType<Engine["hold"]>>>();
  for (const [name, value] of Object.entries(fresh)) held.set(name, await engine.hold(value));
  for (let update = 1; update <= 5; update++) {
    const rates = updateNumbers(optimizer, { update, learningRate: 0.01, gradientScale: 1, samples: 4 });
    const written = roles.slice(1).map((role) => `${role}/w`);
    await program.run(
      { ...rates, ...Object.fromEntries(held) },
      Object.fromEntries(written.map((name) => [`updated/${name}`, held.get(name)!])),
    );
    const made = await program.run(
      { ...rates, ...fresh },
      Object.fromEntries(written.map((name) => [`updated/${name}`, "return" as const])),
    );
    // What a run returns is written over by the next one.
    const copies = written.map((name) => [name, structuredClone(made[`updated/${name}`] as Tensor)] as const);
    fresh = { ...fresh, ...Object.fromEntries(copies) };
    for (const name of written) expect(await engine.read(held.get(name)!)).toEqual(fresh[name]);
  }
});

test("Trainer.step agrees with the interpreter's gradients", async () => {
  const trainer = await open();
  const program = await trainer.prepare("regression", regression(4));
  const { loss } = await trainer.step(program, [batch], options);
  const expected = interpret(regression(4), batch, (name) => parameters.get(name)!).get("loss")!.data[0];
  expect(Math.abs(loss - (expected as number))).toBeLessThan(1e-6);
});

async function failure(run: Promise<unknown>): Promise<KandinskyError> {
  const error = await run.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof KandinskyError) return error;
  throw new Error("did not fail");
}

test("Trainer.step refuses what is not finite, names it and changes nothing", async () => {
  const trainer = await open();
  const program = await trainer.prepare("regression", regression(4));
  const before = await trainer.state();
  const broken = { ...batch, x: float32([4, 3], numbers(batch.x).with(4, Number.NaN)) };
  expect((await failure(trainer.step(program, [broken], options))).message).toContain(
    "training met a loss that is not finite: seen NaN",
  );
  // Squares of the gradients overflow where the loss itself does not.
  const large = {
    ...batch,
    x: float32(
      [4, 3],
      numbers(batch.x).map((x) => x * 3e17),
    ),
  };
  const error = await failure(trainer.step(program, [large], options));
  expect([error.code, error.parts.where]).toEqual(["result_not_finite", "w"]);
  expect(await trainer.state()).toEqual(before);
});

test("Trainer.prepare refuses parameters that are missing, or trained and not read", async () => {
  const trainer = await open();
  const graph = buildGraph((builder) => {
    const y = mul(builder.parameter("w", [3, 2]), 2);
    return { loss: mean(mul(y, builder.parameter("other", [2]))) };
  });
  expect((await failure(trainer.prepare("graph", graph))).message).toBe("cannot prepare graph: other");
  const part = buildGraph((builder) => ({ loss: mean(builder.parameter("w", [3, 2])) }));
  expect((await failure(trainer.prepare("part", part))).message).toBe(
    "cannot prepare part: seen trained parameters that it does not read: scale",
  );
});
