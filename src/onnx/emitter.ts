import type { DType, Tensor } from "../tensor/mod.ts";
import { tensor } from "../tensor/mod.ts";
import {
  ATTRIBUTE_TYPE,
  type AttributeProto,
  EXTERNAL,
  type NodeProto,
  ONNX_TYPE,
  type TensorProto,
} from "./proto.ts";

type AttributeValue =
  | { readonly float: number }
  | { readonly int: number }
  | { readonly ints: readonly number[] }
  | { readonly string: string };

/** Where a weight's values lie: a file below the weights folder, byte offset and length. */
export interface WeightPlace {
  readonly file: string;
  readonly offset: number;
  readonly byteLength: number;
}

/** Collects ONNX nodes and initializers; equal small constants become one initializer. */
export class Emitter {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  readonly #constants = new Map<string, string>();
  #prefix = "";

  /** Names the nodes emitted next after a node of our graph, so that runtime messages lead back to it. */
  enter(prefix: string): void {
    this.#prefix = prefix;
  }

  /** Adds a node of one result and returns the result's name. `op` is `OpType` or `domain:OpType`. */
  emit(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeValue>> = {},
  ): string {
    return this.emitAll(op, inputs, 1, attributes)[0]!;
  }

  /** Adds a node of `count` results and returns their names. */
  emitAll(
    op: string,
    inputs: readonly string[],
    count: number,
    attributes: Readonly<Record<string, AttributeValue>>,
  ): string[] {
    const [opType, domain = ""] = op.split(":").reverse() as [string, string?];
    const name = `${this.#prefix}/${opType}_${this.nodes.length}`;
    const attribute = Object.entries(attributes).map(([key, value]) => attributeProto(key, value));
    const output = Array.from({ length: count }, (_, i) => (i === 0 ? name : `${name}.${i}`));
    this.nodes.push({ opType, domain, name, input: inputs, output, attribute });
    return output;
  }

  /** A small constant stored in the model itself. */
  constant(value: Tensor): string {
    const bytes = new Uint8Array(value.data.buffer, value.data.byteOffset, value.data.byteLength);
    const small = bytes.length <= 256;
    const key = small ? `${value.dtype}[${value.shape}]${bytes.join()}` : "";
    const known = small ? this.#constants.get(key) : undefined;
    if (known !== undefined) return known;
    const name = `constant_${this.initializers.length}`;
    this.initializers.push({
      name,
      dims: value.shape,
      dataType: ONNX_TYPE[value.dtype],
      rawData: bytes,
    });
    if (small) this.#constants.set(key, name);
    return name;
  }

  /** A list of integers as a one-axis int64 constant. */
  integers(values: readonly number[]): string {
    return this.constant(tensor("int64", [values.length], BigInt64Array.from(values, BigInt)));
  }

  /** A weight whose values stay in their file. */
  weight(name: string, dtype: DType, shape: readonly number[], place: WeightPlace): string {
    const entries = { location: place.file, offset: `${place.offset}`, length: `${place.byteLength}` };
    this.initializers.push({
      name,
      dims: shape,
      dataType: ONNX_TYPE[dtype],
      externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
      dataLocation: EXTERNAL,
    });
    return name;
  }
}

function attributeProto(name: string, value: AttributeValue): AttributeProto {
  if ("float" in value) return { name, type: ATTRIBUTE_TYPE.float, f: value.float };
  if ("int" in value) return { name, type: ATTRIBUTE_TYPE.int, i: value.int };
  if ("ints" in value) return { name, type: ATTRIBUTE_TYPE.ints, ints: value.ints };
  return { name, type: ATTRIBUTE_TYPE.string, s: new TextEncoder().encode(value.string) };
}
