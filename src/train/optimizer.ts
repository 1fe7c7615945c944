import { product } from "../base/mod.ts";
import {
  add,
  buildGraph,
  concat,
  div,
  type Graph,
  type GraphBuilder,
  mul,
  type ParameterShape,
  reduceSum,
  reshape,
  sqrt,
  sub,
  type Value,
} from "../graph/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";

/** AdamW with decoupled decay (Loshchilov and Hutter 2019), clipping by the global norm, and averages of weights. */
export interface OptimizerConfig {
  readonly betas: readonly [number, number];
  /** Added to the root of the second moment. */
  readonly epsilon: number;
  /** Share of a weight that goes away at an update, times the learning rate. */
  readonly weightDecay: number;
  /** Which parameters decay; matrices and kernels by `decaysMatrices`, norms and biases never. */
  readonly decays: (parameter: ParameterShape) => boolean;
  /** Largest norm of all gradients together; longer ones are shortened to it. Infinity clips nothing. */
  readonly clip: number;
  /** Half-lives of the exponential averages of the weights, in samples. */
  readonly halfLives: readonly number[];
}

/** Decay for all but norms and biases, which are vectors. */
export function decaysMatrices({ shape }: ParameterShape): boolean {
  return shape.length > 1;
}

/** What of a parameter the optimiser reads or writes; averages are `average/0` and so on. */
export type Role = "gradient" | "parameter" | "first" | "second" | `average/${number}`;

/** The graph input of a parameter's tensor. */
export function inputName(role: Role, name: string): string {
  return `${role}/${name}`;
}

/** The result that is written over the input of that name. */
export function updatedName(role: Role, name: string): string {
  return `updated/${role}/${name}`;
}

/** Everything an update writes: moments, parameters, averages. */
export function updatedRoles(averages: number): Role[] {
  const numbered = Array.from({ length: averages }, (_, i): Role => `average/${i}`);
  return ["first", "second", "parameter", ...numbered];
}

/**
 * One update of all parameters. Elementwise from end to end, so that results may be written over inputs. Numbers
 * that change from update to update are inputs of no axes, see `updateNumbers`.
 */
export function updateGraph(parameters: readonly ParameterShape[], config: OptimizerConfig): Graph {
  const [beta1, beta2] = config.betas;
  return buildGraph((builder) => {
    const numbers = Object.fromEntries(numberNames(config).map((name) => [name, scalar(builder, name)]));
    const results: Record<string, Value> = {};
    for (const { name, shape } of parameters) {
      const read = (role: Role) => builder.input(inputName(role, name), "float32", shape);
      const gradient = read("gradient");
      const first = add(mul(read("first"), beta1), mul(gradient, numbers["first_share"]!));
      const square = mul(mul(gradient, gradient), numbers["second_share"]!);
      const second = add(mul(read("second"), beta2), square);
      const step = mul(div(first, add(sqrt(second), numbers["epsilon"]!)), numbers["rate"]!);
      const before = read("parameter");
      const decayed = config.decays({ name, shape }) ? mul(before, numbers["kept"]!) : before;
      const after = sub(decayed, step);
      Object.assign(results, {
        [updatedName("first", name)]: first,
        [updatedName("second", name)]: second,
        [updatedName("parameter", name)]: after,
      });
      config.halfLives.forEach((_, i) => {
        const average = read(`average/${i}`);
        const moved = add(average, mul(sub(after, average), numbers[`average_share_${i}`]!));
        results[updatedName(`average/${i}`, name)] = moved;
      });
    }
    return results;
  });
}

/** What an update depends on besides the tensors. */
export interface UpdateNumbers {
  /** Which update this is, from 1. */
  readonly update: number;
  readonly learningRate: number;
  /** The gradients times this are those of the mean loss, clipped. */
  readonly gradientScale: number;
  /** Samples that this update saw, which the averages age by. */
  readonly samples: number;
}

/** The inputs of `updateGraph` that are single numbers. The corrections for moments that began at 0 are folded in. */
export function updateNumbers(
  config: OptimizerConfig,
  { update, learningRate, gradientScale, samples }: UpdateNumbers,
): Record<string, Tensor<"float32">> {
  const [beta1, beta2] = config.betas;
  const [correction1, correction2] = [1 - beta1 ** update, 1 - beta2 ** update];
  const values = [
    (1 - beta1) * gradientScale,
    (1 - beta2) * gradientScale ** 2,
    config.epsilon * Math.sqrt(correction2),
    (learningRate * Math.sqrt(correction2)) / correction1,
    1 - learningRate * config.weightDecay,
    ...config.halfLives.map((halfLife) => -Math.expm1((-Math.LN2 * samples) / halfLife)),
  ];
  return Object.fromEntries(numberNames(config).map((name, i) => [name, float32([], [values[i]!])]));
}

function numberNames({ halfLives }: OptimizerConfig): string[] {
  return [
    "first_share",
    "second_share",
    "epsilon",
    "rate",
    "kept",
    ...halfLives.map((_, i) => `average_share_${i}`),
  ];
}

/** The sum of squares of every gradient, as one vector `squares` in the order of the parameters. */
export function squaresGraph(parameters: readonly ParameterShape[]): Graph {
  return buildGraph((builder) => {
    const sums = parameters.map(({ name, shape }) => {
      const gradient = builder.input(inputName("gradient", name), "float32", shape);
      const flat = reshape(gradient, [1, product(shape)]);
      return reduceSum(mul(flat, flat), 1);
    });
    return { squares: concat(sums, 0) };
  });
}

/** Adds the gradients of another part of the batch, inputs `more/NAME`, to those there: elementwise. */
export function accumulateGraph(parameters: readonly ParameterShape[]): Graph {
  return buildGraph((builder) =>
    Object.fromEntries(
      parameters.map(({ name, shape }) => {
        const sum = builder.input(inputName("gradient", name), "float32", shape);
        return [updatedName("gradient", name), add(sum, builder.input(`more/${name}`, "float32", shape))];
      }),
    ),
  );
}

function scalar(builder: GraphBuilder, name: string): Value {
  return builder.input(name, "float32", []);
}
