import { KandinskyError } from "../base/mod.ts";
import { type Graph, type Node, nodesOf } from "../graph/mod.ts";
import { Emitter, type WeightPlace } from "./emitter.ts";
import { LOWERINGS, type Lowering, type SourceOp } from "./lowerings.ts";
import { byDepth } from "./order.ts";
import { encodeModel, ONNX_TYPE, type ValueInfoProto } from "./proto.ts";
import { emitSplit, wholeCuts } from "./splits.ts";

/**
 * The ONNX model of a graph, with static shapes. Weights stay outside: `placeOf` says in which file below
 * the weights folder each lies. Inputs and outputs keep their names.
 */
export function encodeOnnx(graph: Graph, placeOf: (parameter: string) => WeightPlace): Uint8Array {
  const emit = new Emitter();
  const names: string[] = [];
  const pieces = wholeCuts(graph);
  graph.nodes.forEach((node, id) => {
    // A piece that an earlier one was cut out together with.
    if (names[id] !== undefined) return;
    emit.enter(`${id}`);
    const inputs = node.inputs.map((input) => names[input]!);
    const cut = pieces.get(id);
    if (cut === undefined) names[id] = lower(emit, graph, node, inputs, placeOf);
    else for (const [piece, name] of emitSplit(emit, inputs[0]!, cut)) names[piece] = name;
  });
  nameResults(
    emit,
    [...graph.outputs].map(([name, id]) => [name, names[id]!]),
  );
  const outputs = [...graph.outputs].map(([name, id]) => valueInfo(name, graph.nodes[id]!));
  return encodeModel({
    irVersion: 10,
    producerName: "kandinsky",
    opsetImport: OPSETS,
    graph: {
      name: "graph",
      node: byDepth(emit.nodes),
      initializer: emit.initializers,
      input: nodesOf(graph, "input").map((node) => valueInfo(node.attributes.name, node)),
      output: outputs,
    },
  });
}

const OPSETS = [
  { domain: "", version: 21 },
  { domain: "com.microsoft", version: 1 },
  { domain: "com.microsoft.nchwc", version: 1 },
];

/**
 * Gives results their names: to the value itself where an operation made it, so that it is written where the
 * caller wants it; inputs, weights and what is a result twice are copied.
 */
function nameResults(emit: Emitter, results: readonly (readonly [name: string, value: string])[]): void {
  const made = new Set(emit.nodes.flatMap(({ output }) => output));
  const renamed = new Map<string, string>();
  const copies = results.filter(([name, value]) => {
    if (!made.has(value) || renamed.has(value)) return true;
    renamed.set(value, name);
    return false;
  });
  const rename = (value: string) => renamed.get(value) ?? value;
  emit.nodes.forEach((node, i) => {
    emit.nodes[i] = { ...node, input: node.input.map(rename), output: node.output.map(rename) };
  });
  for (const [name, value] of copies) {
    const source = { opType: "Identity", domain: "", name, attribute: [] };
    emit.nodes.push({ ...source, input: [rename(value)], output: [name] });
  }
}

function lower(
  emit: Emitter,
  graph: Graph,
  node: Node,
  inputs: readonly string[],
  placeOf: (parameter: string) => WeightPlace,
): string {
  if (node.op === "input") return node.attributes.name;
  if (node.op === "constant") return emit.constant(node.attributes.value);
  if (node.op === "parameter") {
    const { name, dtype, shape } = node.attributes;
    return emit.weight(name, dtype, shape, placeOf(name));
  }
  // The table is total over the other operations; a union of its rows cannot be called without this.
  const lowering = LOWERINGS[node.op] as Lowering<Exclude<typeof node.op, SourceOp>> | undefined;
  if (lowering === undefined)
    throw new KandinskyError("graph_invalid", { what: `no lowering for ${node.op}` });
  return lowering({ emit, graph, node: node as never, inputs });
}

function valueInfo(name: string, { dtype, shape }: Node): ValueInfoProto {
  const dim = shape.map((dimValue) => ({ dimValue }));
  return { name, type: { tensorType: { elemType: ONNX_TYPE[dtype], shape: { dim } } } };
}
