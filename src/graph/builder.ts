import { KandinskyError } from "../base/mod.ts";
import { formatShape, type Tensor } from "../tensor/mod.ts";
import { describeNode, type Graph, type Node } from "./graph.ts";
import { OPS, type OpAttributes, type OpName, type Signature } from "./ops.ts";

/** A node under construction: what the layer functions pass on. */
export interface Value extends Signature {
  readonly builder: GraphBuilder;
  readonly id: number;
}

/** Collects nodes. Equal operations on equal inputs become one node. */
export class GraphBuilder {
  readonly #nodes: Node[] = [];
  readonly #known = new Map<string, number>();
  readonly #outputs = new Map<string, number>();
  readonly #taps = new Map<string, number>();

  /** Appends an operation and returns its value; throws `graph_invalid` where the inputs do not fit. */
  apply<K extends OpName>(op: K, inputs: readonly Value[], attributes: OpAttributes[K]): Value {
    return this.#append(op, inputs, attributes, () => this.#inferAt(op, inputs, attributes));
  }

  /**
   * Appends a node of another graph on copies of its inputs. Where these have the types and shapes of `before`, so has
   * the value: passes copy most of a graph as it is.
   */
  copy(node: Node, inputs: readonly Value[], before: readonly Signature[]): Value {
    const { op, attributes } = node;
    const isSame = inputs.every((value, i) => isEqualSignature(value, before[i]!));
    if (!isSame) return this.apply(op, inputs, attributes as never);
    return this.#append(op, inputs, attributes as never, () => node);
  }

  #append<K extends OpName>(
    op: K,
    inputs: readonly Value[],
    attributes: OpAttributes[K],
    signatureOf: () => Signature,
  ): Value {
    if (inputs.some((value) => value.builder !== this)) {
      throw new KandinskyError("graph_invalid", {
        what: `cannot add ${op}`,
        seen: "a value of another graph",
      });
    }
    const ids = inputs.map((value) => value.id);
    const key = op === "constant" ? undefined : `${op} ${ids} ${textOf(attributes)}`;
    const known = key === undefined ? undefined : this.#known.get(key);
    if (known !== undefined) return this.value(known);
    const { dtype, shape } = signatureOf();
    // The mapped type of Node ties op to attributes; a generic K cannot show that to the compiler.
    const node = { op, attributes, inputs: ids, dtype, shape } as Node;
    const id = this.#nodes.push(node) - 1;
    if (key !== undefined) this.#known.set(key, id);
    return this.value(id);
  }

  value(id: number): Value {
    const { dtype, shape } = this.#nodes[id]!;
    return { builder: this, id, dtype, shape };
  }

  /** The operation that made a value, and its operands. */
  definition(value: Value): { readonly node: Node; readonly inputs: readonly Value[] } {
    const node = this.#nodes[value.id]!;
    return { node, inputs: node.inputs.map((id) => this.value(id)) };
  }

  input(name: string, dtype: Signature["dtype"], shape: readonly number[]): Value {
    return this.apply("input", [], { name, dtype, shape });
  }

  /** A weight by its checkpoint key; asking twice gives the same node. */
  parameter(name: string, shape: readonly number[], dtype: Signature["dtype"] = "float32"): Value {
    return this.apply("parameter", [], { name, dtype, shape });
  }

  constant(value: Tensor): Value {
    return this.apply("constant", [], { value });
  }

  output(name: string, value: Value): void {
    this.#outputs.set(name, value.id);
  }

  tap(name: string, value: Value): void {
    this.#taps.set(name, value.id);
  }

  finish(): Graph {
    return { nodes: [...this.#nodes], outputs: new Map(this.#outputs), taps: new Map(this.#taps) };
  }

  #inferAt<K extends OpName>(op: K, inputs: readonly Value[], attributes: OpAttributes[K]): Signature {
    const { arity, infer } = OPS[op];
    if (inputs.length < arity[0] || inputs.length > arity[1]) {
      throw new KandinskyError("graph_invalid", {
        what: `cannot add ${op}`,
        seen: `${inputs.length} inputs`,
        wanted: `${arity[0]} to ${arity[1]}`,
      });
    }
    try {
      return infer(inputs, attributes);
    } catch (error) {
      if (!(error instanceof KandinskyError)) throw error;
      const graph = this.finish();
      const operands = inputs.map((x) => `${describeNode(graph, x.id)} ${x.dtype}${formatShape(x.shape)}`);
      throw new KandinskyError("graph_invalid", {
        ...error.parts,
        what: `cannot add ${op} of ${operands.join(", ")}`,
      });
    }
  }
}

/** Attributes as text, made once: a node's copies share them. */
const TEXTS = new WeakMap<object, string>();

function textOf(attributes: object): string {
  const known = TEXTS.get(attributes);
  if (known !== undefined) return known;
  const text = JSON.stringify(attributes);
  TEXTS.set(attributes, text);
  return text;
}

function isEqualSignature(a: Signature, b: Signature): boolean {
  if (a.dtype !== b.dtype) return false;
  return (
    a.shape === b.shape || (a.shape.length === b.shape.length && a.shape.every((n, i) => n === b.shape[i]))
  );
}

/** Runs `define` on a new builder; its returned values become the graph's results by name. */
export function buildGraph(define: (builder: GraphBuilder) => Readonly<Record<string, Value>>): Graph {
  const builder = new GraphBuilder();
  for (const [name, value] of Object.entries(define(builder))) builder.output(name, value);
  return builder.finish();
}
