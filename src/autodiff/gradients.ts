import { KandinskyError, nearest, product } from "../base/mod.ts";
import { add, describeNode, type Graph, GraphBuilder, rewrite, type Value } from "../graph/mod.ts";
import { formatShape, tensor } from "../tensor/mod.ts";
import type { Rule } from "./rule.ts";
import { RULES } from "./rules.ts";

/** What to differentiate, and by what. */
export interface GradientRequest {
  /** A result of one element. */
  readonly loss: string;
  /** Parameters, inputs or taps by name; where names clash, in this order. */
  readonly wrt: readonly string[];
}

/**
 * The graph with its results and, as `grad/NAME`, the derivative of the loss by each value asked for, of that
 * value's shape; zeros where the loss does not depend on it. Reverse accumulation: one pass for all of them.
 * Throws `graph_invalid` for names the graph does not have, a loss of several elements, and operations that
 * belong after differentiation (blocked layouts).
 */
export function gradients(graph: Graph, { loss, wrt }: GradientRequest): Graph {
  const builder = new GraphBuilder();
  const values: Value[] = [];
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((id) => values[id]!);
    values.push(builder.apply(node.op, inputs, node.attributes as never));
  }
  for (const [name, id] of graph.outputs) builder.output(name, values[id]!);
  for (const [name, id] of graph.taps) builder.tap(name, values[id]!);

  const lossId = lossOf(graph, loss);
  const places = wrt.map((name) => [name, placeOf(graph, name)] as const);
  const found = backward(
    graph,
    values,
    lossId,
    places.map(([, id]) => id),
  );
  for (const [name, id] of places) {
    const { dtype, shape } = graph.nodes[id]!;
    const none = () => builder.apply("expand", [builder.constant(number(dtype, 0))], { shape });
    builder.output(`grad/${name}`, found.get(id) ?? none());
  }
  // What only derivatives that nobody asked for would have used.
  return rewrite(builder.finish(), () => undefined);
}

/** Walks from the loss to what is asked for, adding up what reaches each node. */
function backward(
  graph: Graph,
  values: readonly Value[],
  lossId: number,
  wrt: readonly number[],
): ReadonlyMap<number, Value> {
  const leads = dependents(graph, wrt);
  const reached = new Map<number, Value>();
  const { dtype, shape, builder } = values[lossId]!;
  reached.set(lossId, builder.constant({ ...number(dtype, 1), shape }));
  for (let id = lossId; id >= 0; id--) {
    const node = graph.nodes[id]!;
    const gradient = reached.get(id);
    if (gradient === undefined || !leads.has(id)) continue;
    const rule = RULES[node.op];
    if (rule === "none") continue;
    if (rule === "later") {
      throw new KandinskyError("graph_invalid", {
        what: "cannot differentiate",
        where: describeNode(graph, id),
        seen: node.op,
        hint: "take derivatives before layouts are chosen",
      });
    }
    const inputs = node.inputs.map((input) => values[input]!);
    // The table ties each rule to its node; indexing by a union loses that.
    const place = { node, inputs, result: values[id]!, gradient };
    const byInput = (rule as Rule<typeof node.op>)(place as never);
    node.inputs.forEach((input, i) => {
      const derivative = leads.has(input) ? byInput[i]?.() : undefined;
      if (derivative === undefined) return;
      const before = reached.get(input);
      reached.set(input, before === undefined ? derivative : add(before, derivative));
    });
  }
  return reached;
}

/** The nodes asked for and all that are computed from them. */
function dependents(graph: Graph, from: readonly number[]): ReadonlySet<number> {
  const found = new Set(from);
  graph.nodes.forEach((node, id) => {
    if (node.inputs.some((input) => found.has(input))) found.add(id);
  });
  return found;
}

function lossOf(graph: Graph, name: string): number {
  const id = graph.outputs.get(name);
  if (id === undefined) throw unknown(name, [...graph.outputs.keys()]);
  const { shape } = graph.nodes[id]!;
  if (product(shape) === 1) return id;
  throw new KandinskyError("graph_invalid", {
    what: "cannot differentiate",
    where: name,
    seen: formatShape(shape),
    wanted: "one element",
  });
}

function placeOf(graph: Graph, name: string): number {
  const named = (op: "parameter" | "input") =>
    graph.nodes.findIndex((node) => node.op === op && node.attributes.name === name);
  const places = [named("parameter"), named("input"), graph.taps.get(name) ?? -1];
  const id = places.find((place) => place >= 0);
  if (id !== undefined) return id;
  const names = graph.nodes.flatMap((node) =>
    node.op === "parameter" || node.op === "input" ? [node.attributes.name] : [],
  );
  throw unknown(name, [...names, ...graph.taps.keys()]);
}

function unknown(name: string, names: readonly string[]): KandinskyError {
  const close = nearest(name, names);
  return new KandinskyError("graph_invalid", {
    what: "cannot differentiate",
    seen: name,
    wanted: "a name of the graph",
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}

function number(dtype: Value["dtype"], value: number) {
  return dtype === "float64"
    ? tensor("float64", [], Float64Array.of(value))
    : tensor("float32", [], Float32Array.of(value));
}
