import protobuf from "protobufjs";
import type { DType, Tensor } from "../tensor/mod.ts";
import type { Port, ProgramSource } from "./mod.ts";

/** Element type numbers of onnx.proto3, `TensorProto.DataType`. */
const ELEMENT_TYPE: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
};

/** The part of onnx.proto3 that the test models need; [field number, type, repeated]. */
const FIELDS: Readonly<Record<string, Readonly<Record<string, readonly [number, string, "repeated"?]>>>> = {
  Model: { irVersion: [1, "int64"], graph: [7, "Graph"], opset: [8, "Opset", "repeated"] },
  Opset: { domain: [1, "string"], version: [2, "int64"] },
  Graph: {
    node: [1, "Node", "repeated"],
    name: [2, "string"],
    initializer: [5, "Initializer", "repeated"],
    input: [11, "Value", "repeated"],
    output: [12, "Value", "repeated"],
  },
  Node: {
    input: [1, "string", "repeated"],
    output: [2, "string", "repeated"],
    opType: [4, "string"],
    attribute: [5, "Attribute", "repeated"],
  },
  Attribute: { name: [1, "string"], i: [3, "int64"], type: [20, "int32"] },
  Initializer: {
    dims: [1, "int64", "repeated"],
    dataType: [2, "int32"],
    name: [8, "string"],
    rawData: [9, "bytes"],
    external: [13, "Entry", "repeated"],
    location: [14, "int32"],
  },
  Entry: { key: [1, "string"], value: [2, "string"] },
  Value: { name: [1, "string"], type: [2, "Type"] },
  Type: { tensor: [1, "TensorType"] },
  TensorType: { elementType: [1, "int32"], shape: [2, "Shape"] },
  Shape: { dim: [1, "Dim", "repeated"] },
  Dim: { value: [1, "int64"], param: [2, "string"] },
};

const SCHEMA = protobuf.Root.fromJSON({
  nested: Object.fromEntries(
    Object.entries(FIELDS).map(([message, fields]) => [
      message,
      {
        fields: Object.fromEntries(
          Object.entries(fields).map(([name, [id, type, rule]]) => [
            name,
            rule === undefined ? { id, type } : { id, type, rule },
          ]),
        ),
      },
    ]),
  ),
});

/** A small model: nodes as `[operation, inputs, output, integer attributes]`. */
export interface TinyModel {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly nodes: readonly (readonly [
    string,
    readonly string[],
    string,
    Readonly<Record<string, number>>?,
  ])[];
  readonly weights?: readonly {
    readonly name: string;
    readonly dtype: DType;
    readonly shape: readonly number[];
    readonly from:
      | Uint8Array
      | { readonly location: string; readonly offset: number; readonly length: number };
  }[];
}

/** The bytes of an ONNX file (opset 21). */
export function encodeModel(model: TinyModel): Uint8Array {
  const port = ({ name, dtype, shape }: Port) => ({
    name,
    type: {
      tensor: {
        elementType: ELEMENT_TYPE[dtype],
        shape: { dim: shape.map((d) => (typeof d === "number" ? { value: d } : { param: d })) },
      },
    },
  });
  const type = SCHEMA.lookupType("Model");
  const bytes = type
    .encode({
      irVersion: 10,
      opset: [{ domain: "", version: 21 }],
      graph: {
        name: "tiny",
        node: model.nodes.map(([opType, input, output, attributes = {}]) => ({
          opType,
          input,
          output: [output],
          attribute: Object.entries(attributes).map(([name, i]) => ({ name, i, type: 2 })),
        })),
        initializer: (model.weights ?? []).map(({ name, dtype, shape, from }) => ({
          name,
          dims: shape,
          dataType: ELEMENT_TYPE[dtype],
          ...(from instanceof Uint8Array
            ? { rawData: from }
            : {
                location: 1,
                external: Object.entries(from).map(([key, value]) => ({ key, value: String(value) })),
              }),
        })),
        input: model.inputs.map(port),
        output: model.outputs.map(port),
      },
    })
    .finish();
  return new Uint8Array(bytes);
}

export function source(name: string, model: TinyModel, options: Partial<ProgramSource> = {}): ProgramSource {
  return { name, onnx: encodeModel(model), ...options };
}

export function ports(dtype: DType, shape: readonly (number | string)[], ...names: string[]) {
  return names.map((name) => ({ name, dtype, shape }));
}

/** y = x + x and z = x * x over any shape. */
export function arithmetic(shape: readonly (number | string)[], dtype: DType = "float32"): ProgramSource {
  return source("arithmetic", {
    inputs: ports(dtype, shape, "x"),
    outputs: ports(dtype, shape, "y", "z"),
    nodes: [
      ["Add", ["x", "x"], "y"],
      ["Mul", ["x", "x"], "z"],
    ],
  });
}

/** A run of tens of seconds: a long chain of products. */
export function longRun(): ProgramSource {
  const chain = Array.from({ length: 3000 }, (_, i) => ["MatMul", [`v${i}`, "v0"], `v${i + 1}`] as const);
  return source("long run", {
    inputs: ports("float32", [1024, 1024], "v0"),
    outputs: ports("float32", [1024, 1024], "v3000"),
    nodes: chain,
  });
}

/** How a promise failed, and when. */
export async function failure(
  promise: Promise<unknown>,
): Promise<{ code: string; message: string; ms: number }> {
  const start = performance.now();
  const error = await promise.then(
    () => ({ code: "none", message: "it did not fail" }),
    (reason) => reason,
  );
  return { code: error.code, message: error.message, ms: performance.now() - start };
}

export const values = (result: Tensor): unknown[] => [...(result.data as Float32Array)];
