import { expect, test } from "vitest";
import { float32 } from "../tensor/mod.ts";
import {
  add,
  buildGraph,
  census,
  conv2d,
  describeNode,
  fingerprint,
  type Graph,
  GraphBuilder,
  mul,
  type Node,
  nodesOf,
  printGraph,
  reachable,
  rewrite,
  silu,
  useCounts,
  verifyGraph,
} from "./mod.ts";
import { failure } from "./test-support.ts";

/** silu(conv(x)) + x, with a tap after each step and a node that nothing needs. */
function residual(): Graph {
  const builder = new GraphBuilder();
  const x = builder.input("x", "float32", [1, 2, 3, 5]);
  const weight = builder.parameter("conv.weight", [2, 2, 3, 3]);
  const y = conv2d(x, weight, builder.parameter("conv.bias", [2]), { padding: [1, 1, 1, 1] });
  builder.tap("conv", y);
  const unused = mul(x, x);
  builder.tap("unused", unused);
  const active = silu(y);
  const sum = add(active, x);
  builder.output("y", add(sum, builder.constant(float32([5], [1, 2, 3, 4, 5]))));
  return builder.finish();
}

test("printGraph prints one line a node", () => {
  expect(printGraph(residual()).split("\n")).toEqual([
    "%0 = input x : float32[1,2,3,5]",
    "%1 = parameter conv.weight : float32[2,2,3,3]",
    "%2 = parameter conv.bias : float32[2]",
    "%3 = conv2d %0 %1 %2 {stride:1 padding:[1,1,1,1]} : float32[1,2,3,5]  # conv",
    "%4 = mul %0 %0 : float32[1,2,3,5]  # unused",
    "%5 = silu %3 : float32[1,2,3,5]",
    "%6 = add %5 %0 : float32[1,2,3,5]",
    "%7 = constant {1 2 3 4 ...} : float32[5]",
    "%8 = add %6 %7 : float32[1,2,3,5]",
    "return y = %8",
  ]);
});

/** x [size] times a constant plus a weight. */
function scaled(size: number, factors: Float32Array, name = "w"): Graph {
  return buildGraph((builder) => {
    const factor = builder.constant(float32([factors.length], factors));
    return { y: add(mul(builder.input("x", "float32", [size, 1]), factor), builder.parameter(name, [1])) };
  });
}

test("fingerprint is the same for the same computation, whatever is tapped", () => {
  const factors = Float32Array.of(1, 2, 3, 4, 5, 6);
  expect(fingerprint(scaled(3, factors))).toMatch(/^[0-9a-f]{13}$/);
  // The same values somewhere inside a larger buffer.
  const inside = Float32Array.of(9, ...factors, 9).subarray(1, 7);
  expect(fingerprint(scaled(3, inside))).toBe(fingerprint(scaled(3, factors)));
  expect(fingerprint({ ...residual(), taps: new Map() })).toBe(fingerprint(residual()));
});

test("fingerprint differs where anything differs", () => {
  const factors = Float32Array.of(1, 2, 3, 4, 5, 6);
  const graphs = [
    scaled(3, factors),
    scaled(4, factors),
    scaled(3, factors, "v"),
    // Beyond what the printed form shows of a constant.
    scaled(3, Float32Array.of(1, 2, 3, 4, 5, 7)),
    scaled(3, Float32Array.of(1, 2, 3, 4, 6, 5)),
    buildGraph((builder) => ({ y: silu(builder.input("x", "float32", [3])) })),
    buildGraph((builder) => ({ z: silu(builder.input("x", "float32", [3])) })),
    buildGraph((builder) => ({ y: silu(builder.input("x", "float16", [3])) })),
    ...Array.from({ length: 500 }, (_, i) => scaled(3, Float32Array.of(i))),
  ];
  expect(new Set(graphs.map(fingerprint)).size).toBe(graphs.length);
});

test("census counts operations in alphabetical order", () => {
  expect(Object.entries(census(residual()))).toEqual([
    ["add", 2],
    ["constant", 1],
    ["conv2d", 1],
    ["input", 1],
    ["mul", 1],
    ["parameter", 2],
    ["silu", 1],
  ]);
});

test("nodesOf finds all nodes of an operation", () => {
  expect(nodesOf(residual(), "parameter").map((node) => node.attributes.name)).toEqual([
    "conv.weight",
    "conv.bias",
  ]);
});

test("describeNode names the node itself, its parameter, or the nearest name before it", () => {
  const graph = residual();
  const untapped = { ...graph, taps: new Map() };
  expect(describeNode(graph, 0)).toBe("input %0 (x)");
  expect(describeNode(graph, 3)).toBe("conv2d %3 (conv)");
  expect(describeNode(untapped, 3)).toBe("conv2d %3 (conv.weight)");
  expect(describeNode(graph, 5)).toBe("silu %5 (after conv)");
  expect(describeNode(graph, 6)).toBe("add %6 (after x)");
  expect(describeNode(graph, 7)).toBe("constant %7");
  expect(describeNode(untapped, 8)).toBe("add %8 (after x)");
});

test("reachable and useCounts follow what results need", () => {
  const graph = residual();
  expect([...reachable(graph, graph.outputs.values())].sort((a, b) => a - b)).toEqual([
    0, 1, 2, 3, 5, 6, 7, 8,
  ]);
  expect(useCounts(graph)).toEqual([4, 1, 1, 1, 0, 1, 1, 1, 1]);
});

test("rewrite copies what results need and keeps the taps there", () => {
  const copy = rewrite(residual(), () => undefined);
  expect(census(copy)).toEqual({ add: 2, constant: 1, conv2d: 1, input: 1, parameter: 2, silu: 1 });
  expect([...copy.taps]).toEqual([["conv", 3]]);
  expect([...copy.outputs.keys()]).toEqual(["y"]);
  expect(printGraph(rewrite(copy, () => undefined))).toBe(printGraph(copy));
});

test("rewrite puts replacements in place, and taps and results follow them", () => {
  const graph = residual();
  const changed = rewrite(graph, (node, inputs) =>
    node.op === "conv2d" || node.op === "silu" ? add(inputs[0]!, inputs[0]!) : undefined,
  );
  expect(verifyGraph(changed, "test")).toBe(changed);
  const tapped = changed.nodes[changed.taps.get("conv")!]!;
  expect([tapped.op, tapped.inputs]).toEqual(["add", [0, 0]]);
  // What the replaced nodes alone needed is copied too; a second rewrite drops it.
  expect(census(rewrite(changed, () => undefined))).toEqual({ add: 4, constant: 1, input: 1 });
  expect(printGraph(graph)).toBe(printGraph(residual()));
});

test("rewrite tells the node's own id and the copies of earlier nodes", () => {
  const graph = residual();
  rewrite(graph, (node, inputs, { id, copyOf }) => {
    expect(graph.nodes[id]).toBe(node);
    expect(node.inputs.map(copyOf)).toEqual(inputs);
    return undefined;
  });
});

const node = (part: Partial<Node>): Node =>
  ({ op: "silu", attributes: {}, inputs: [0], dtype: "float32", shape: [2], ...part }) as Node;

test.each<[string, Graph, string]>([
  ["a wrong shape", broken(node({ shape: [3] })), "silu %1 (after x): seen float32[3], wanted float32[2]"],
  ["a wrong type", broken(node({ dtype: "int64" })), "silu %1 (after x): seen int64[2], wanted float32[2]"],
  [
    "an input that comes later",
    broken(node({ inputs: [1] })),
    "silu %1: seen input %1, wanted an input before %1",
  ],
  [
    "an input that is not there",
    broken(node({ inputs: [9] })),
    "silu %1: seen input %9, wanted an input before %1",
  ],
  ["too many inputs", broken(node({ inputs: [0, 0] })), "silu %1 (after x): seen 2 inputs, wanted 1 to 1"],
  [
    "operands that do not fit",
    broken(node({ op: "reshape", attributes: { shape: [3] }, shape: [3] })),
    "reshape %1 (after x): seen [3], wanted 2 elements",
  ],
  [
    "a name used twice",
    broken(node({ op: "input", attributes: { name: "x", dtype: "float32", shape: [2] }, inputs: [] })),
    "input %1 (x): seen a second input x, wanted each name once",
  ],
  [
    "a result that is not there",
    { ...broken(node({})), outputs: new Map([["y", 7]]) },
    "result y: seen %7, wanted a node below %2",
  ],
  [
    "a tap that is not there",
    { ...broken(node({})), taps: new Map([["t", -1]]) },
    "result t: seen %-1, wanted a node below %2",
  ],
])("verifyGraph rejects %s, naming the pass and the node", (_, graph, complaint) => {
  expect(failure(() => verifyGraph(graph, "fuse-norms"))).toEqual({
    code: "graph_invalid",
    message: `graph is broken after fuse-norms: ${complaint}`,
  });
});

test("verifyGraph returns a sound graph", () => {
  const graph = residual();
  expect(verifyGraph(graph, "test")).toBe(graph);
});

/** An input x of two floats, then the given node, which is the result. */
function broken(second: Node): Graph {
  const { nodes } = buildGraph((builder) => ({ x: builder.input("x", "float32", [2]) }));
  return { nodes: [...nodes, second], outputs: new Map([["y", 1]]), taps: new Map() };
}
