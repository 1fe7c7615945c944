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

/** Collects ONNX nodes and initializers; equal constants become one initializer. */
export class Emitter {
  readonly nodes: NodeProto[] = [];
  readonly initializers: TensorProto[] = [];
  readonly #constants = new Map<string, readonly { readonly name: string; readonly bytes: Uint8Array }[]>();
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
    const key = `${value.dtype}[${value.shape}]`;
    const alike = this.#constants.get(key) ?? [];
    const known = alike.find((one) => equalBytes(one.bytes, bytes));
    if (known !== undefined) return known.name;
    const name = `constant_${this.initializers.length}`;
    this.initializers.push({
      name,
      dims: value.shape,
      dataType: ONNX_TYPE[value.dtype],
      rawData: bytes,
    });
    this.#constants.set(key, [...alike, { name, bytes }]);
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

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

function attributeProto(name: string, value: AttributeValue): AttributeProto {
  if ("float" in value) return { name, type: ATTRIBUTE_TYPE.float, f: value.float };
  if ("int" in value) return { name, type: ATTRIBUTE_TYPE.int, i: value.int };
  if ("ints" in value) return { name, type: ATTRIBUTE_TYPE.ints, ints: value.ints };
  return { name, type: ATTRIBUTE_TYPE.string, s: new TextEncoder().encode(value.string) };
}
