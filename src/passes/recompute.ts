import { product } from "../base/mod.ts";
import { type Graph, type OpName, reachable, rewrite, type Value } from "../graph/mod.ts";
import type { Pass } from "./pass.ts";
import { removeDeadNodes } from "./split.ts";

/**
 * For a graph with derivatives of the result `loss`: what the way back needs of the way there and is cheap to make
 * again from a value that is kept anyway (norms' multiply-adds and activations) is made again when its turn comes,
 * instead of lying there meanwhile (Chen et al. 2016, "Training deep nets with sublinear memory cost").
 */
export function recompute(loss: string): Pass {
  return { name: "recompute", run: (graph) => removeDeadNodes(new Recomputation(graph, loss).run()) };
}

/** Operations that are worth less than the memory of their result. */
const CHEAP: ReadonlySet<OpName> = new Set(["add", "sub", "mul", "div", "silu", "sigmoid", "reshape"]);

/** Values of fewer elements are not worth it, and count as given for the larger ones made of them. */
const LARGE = 16384;

class Recomputation {
  readonly #graph: Graph;
  readonly #lossDepth: number;
  readonly #depths: readonly number[];
  readonly #forward: ReadonlySet<number>;
  /** The one large value that a cheap one is made of, through other cheap ones. */
  readonly #sources: readonly (number | undefined)[];
  readonly #copies = new Map<number, Value>();

  constructor(graph: Graph, loss: string) {
    this.#graph = graph;
    const id = graph.outputs.get(loss)!;
    this.#depths = depthsOf(graph);
    this.#lossDepth = this.#depths[id]!;
    this.#forward = reachable(graph, [id]);
    this.#sources = this.#findSources();
  }

  run(): Graph {
    return rewrite(this.#graph, (node, inputs, { builder, id, copyOf }) => {
      if (!this.#isBackward(id)) return undefined;
      const token = node.inputs.find((input) => this.#isBackward(input));
      if (token === undefined || node.inputs.every((input) => this.#sources[input] === undefined))
        return undefined;
      const operands = node.inputs.map((input, i) =>
        this.#sources[input] === undefined ? inputs[i]! : this.#again(input, copyOf, copyOf(token)),
      );
      return builder.apply(node.op, operands, node.attributes as never);
    });
  }

  /** Whether a node needs the derivative of the loss: what does lies deeper than the loss. */
  #isBackward(id: number): boolean {
    return !this.#forward.has(id) && this.#depths[id]! > this.#lossDepth;
  }

  #findSources(): (number | undefined)[] {
    const { nodes } = this.#graph;
    const sources: (number | undefined)[] = [];
    nodes.forEach((node, id) => {
      const large = node.inputs.filter((input) => this.#isLarge(input));
      const found = new Set(large.map((input) => sources[input] ?? input));
      // A bias on a product: the product would have to be kept instead of the sum.
      const isBiased = node.op === "add" && node.inputs.some((input) => nodes[input]!.shape.length === 1);
      const isCheap = CHEAP.has(node.op) && this.#isLarge(id) && !isBiased && !this.#isBackward(id);
      const isView = node.op === "reshape" && sources[node.inputs[0]!] === undefined;
      sources.push(isCheap && !isView && found.size === 1 ? [...found][0] : undefined);
    });
    return sources;
  }

  #isLarge(id: number): boolean {
    return product(this.#graph.nodes[id]!.shape) >= LARGE;
  }

  /** The value made again from its source, after the token. */
  #again(id: number, copyOf: (id: number) => Value, token: Value): Value {
    const known = this.#copies.get(id);
    if (known !== undefined) return known;
    const source = this.#sources[id];
    const kept = copyOf(id);
    const { builder } = kept;
    const { op, inputs, attributes } = this.#graph.nodes[id]!;
    const made =
      source === undefined
        ? builder.apply("after", [kept, token], {})
        : builder.apply(
            op,
            inputs.map((input) => (this.#isLarge(input) ? this.#again(input, copyOf, token) : copyOf(input))),
            attributes as never,
          );
    this.#copies.set(id, made);
    return made;
  }
}

/** The longest way from a source to each node. */
function depthsOf({ nodes }: Graph): number[] {
  const depths: number[] = [];
  for (const { inputs } of nodes) depths.push(1 + Math.max(0, ...inputs.map((input) => depths[input]!)));
  return depths;
}
