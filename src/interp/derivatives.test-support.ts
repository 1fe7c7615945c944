import { gradients } from "../autodiff/mod.ts";
import { product } from "../base/mod.ts";
import {
  buildGraph,
  embed,
  type Graph,
  mul,
  nodesOf,
  type ParameterShape,
  parametersOf,
  reduceSum,
  reshape,
  rewrite,
} from "../graph/mod.ts";
import { cast, float32, type Tensor, tensor } from "../tensor/mod.ts";
import { interpret } from "./mod.ts";

/** A graph, values for its inputs and parameters, and the result that is looked at. */
export interface Differentiated {
  readonly graph: Graph;
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly parameters?: Readonly<Record<string, Tensor>>;
  readonly result: string;
}

/** What two ways to compute one derivative gave. */
export interface Slopes {
  /** From values on both sides, in float64. */
  readonly difference: number;
  readonly derivative: number;
  /** The size of what the derivative sums up, which rounding is measured by. */
  readonly scale: number;
}

/** Numbers in a fixed order, evenly spread between -1 and 1: the fractions of multiples of the golden ratio. */
export function spreadNumbers(count: number, seed: number): Float64Array {
  return Float64Array.from(
    { length: count },
    (_, i) => (((i + 1 + 101 * seed) * 0.618033988749895) % 1) * 2 - 1,
  );
}

/** The graph with a loss: the sum of a result times fixed weights, so that each of its values matters. */
export function withLoss({ graph, result }: Differentiated, seed: number): Graph {
  return buildGraph((builder) => {
    const value = embed(builder, graph)[result]!;
    const size = product(value.shape);
    const weights = builder.constant(float32([size], Float32Array.from(spreadNumbers(size, seed))));
    return { loss: reduceSum(mul(reshape(value, [size]), weights), 0) };
  });
}

/** Names of the inputs and parameters of a graph that have derivatives. */
export function differentiable(graph: Graph): ParameterShape[] {
  const inputs = nodesOf(graph, "input").filter(({ dtype }) => dtype === "float32");
  return [...inputs.map(({ attributes: { name, shape } }) => ({ name, shape })), ...parametersOf(graph)];
}

/** The slope of the loss along one direction in which all inputs and parameters move at once. */
export function slopes(one: Differentiated, seed: number): Slopes {
  const graph = withLoss(one, seed);
  const places = differentiable(graph);
  const exact = asFloat64(gradients(graph, { loss: "loss", wrt: places.map(({ name }) => name) }));
  const directions = new Map(
    places.map(({ name, shape }, i) => [name, spreadNumbers(product(shape), seed + 7 * i + 1)]),
  );
  const at = (step: number) => {
    const moved = (tensors: Readonly<Record<string, Tensor>> = {}) =>
      Object.fromEntries(
        Object.entries(tensors).map(([name, value]) => [name, move(value, directions.get(name), step)]),
      );
    const parameters = moved(one.parameters);
    return interpret(exact, moved(one.feeds), (name) => parameters[name]!, step === 0 ? undefined : ["loss"]);
  };
  const step = 1e-5;
  const loss = (steps: number) => at(steps * step).get("loss")!.data[0] as number;
  const results = at(0);
  let derivative = 0;
  let scale = 1e-3;
  for (const { name } of places) {
    const gradient = results.get(`grad/${name}`)!.data as Float64Array;
    const direction = directions.get(name)!;
    gradient.forEach((value, i) => {
      derivative += value * direction[i]!;
      scale += Math.abs(value * direction[i]!);
    });
  }
  // Of the fourth order: the norms of small rows bend too much for two values.
  const difference = (8 * (loss(1) - loss(-1)) - (loss(2) - loss(-2))) / (12 * step);
  return { difference, derivative, scale };
}

function move(value: Tensor, direction: Float64Array | undefined, step: number): Tensor {
  if (direction === undefined) return value;
  const wide = cast(value, "float64").data;
  return tensor(
    "float64",
    value.shape,
    wide.map((x, i) => x + step * direction[i]!),
  );
}

/** The same computation on float64 values from end to end: nothing is rounded where values come in. */
function asFloat64(graph: Graph): Graph {
  return rewrite(graph, (node, inputs, { builder }) => {
    if (node.dtype !== "float32") return undefined;
    if (node.op === "input") return builder.input(node.attributes.name, "float64", node.shape);
    if (node.op === "parameter") return builder.parameter(node.attributes.name, node.shape, "float64");
    if (node.op === "constant") return builder.constant(cast(node.attributes.value, "float64"));
    if (node.op === "cast") return builder.apply("cast", inputs, { dtype: "float64" });
    return undefined;
  });
}
