import { KandinskyError, product } from "../base/mod.ts";
import { type DType, formatShape, ITEM_SIZE } from "../tensor/mod.ts";
import type { TensorEntry } from "./entry.ts";
import type { Fail, PickleRules, PickleValue } from "./pickle.ts";
import { isKind, orderedDict } from "./pickle-opcodes.ts";

/** A tensor of a PyTorch file: `offset` is the place of its first value, the others follow by `strides`. */
export interface TorchEntry extends TensorEntry {
  /** Steps between neighbours along each axis, in elements; 0 repeats a value. */
  readonly strides: readonly number[];
}

/** A storage by its key in the file. */
export interface TorchStorage {
  readonly key: string;
  readonly dtype: DType;
  /** Elements. */
  readonly count: number;
}

/** A view of a storage, checked to lie inside. */
export interface TorchTensor {
  readonly storage: TorchStorage;
  /** Elements before the first. */
  readonly first: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

const MAX_RANK = 64;
const MAX_DEPTH = 32;
const MAX_VISITS = 1_000_000;

const STORAGES: ReadonlyMap<string, DType> = new Map([
  ["torch.DoubleStorage", "float64"],
  ["torch.FloatStorage", "float32"],
  ["torch.HalfStorage", "float16"],
  ["torch.BFloat16Storage", "bfloat16"],
  ["torch.LongStorage", "int64"],
  ["torch.IntStorage", "int32"],
  ["torch.ShortStorage", "int16"],
  ["torch.CharStorage", "int8"],
  ["torch.ByteStorage", "uint8"],
  ["torch.BoolStorage", "bool"],
]);

/** What a call of each global stands for. */
const CALLS: Readonly<Record<string, (args: readonly PickleValue[], fail: Fail) => PickleValue>> = {
  "collections.OrderedDict": (args, fail) => {
    if (args.length !== 0) fail("an OrderedDict with arguments", "an empty one");
    return orderedDict();
  },
  "torch.Size": (args, fail) => ({ kind: "tuple", items: sizes(args[0], fail) }),
  "torch._utils._rebuild_tensor_v2": rebuildTensor,
  "torch._utils._rebuild_parameter": (args, fail) => {
    const [tensor, , hooks] = args;
    checkHooks(hooks, fail);
    if (args.length !== 3 || !isKind(tensor, "object") || tensor.of !== "tensor") {
      return fail("a parameter of something else", "a tensor");
    }
    return tensor;
  },
};

/** The globals and calls of a PyTorch state dict, and what its persistent ids mean. */
export const TORCH_RULES: PickleRules = {
  globals: new Set([...Object.keys(CALLS), ...STORAGES.keys()]),
  reduce: (name, args, fail) => {
    const call = Object.hasOwn(CALLS, name) ? CALLS[name] : undefined;
    return call === undefined
      ? fail(`a call of "${name}"`, "a storage type as a name only")
      : call(args, fail);
  },
  persistent: storageOf,
};

/** ("storage", type, key, location, count); legacy files add a view, which must be None. */
function storageOf(id: PickleValue, fail: Fail): PickleValue {
  if (!isKind(id, "tuple")) return fail("a persistent id that is no tuple", "a storage");
  const [tag, type, key, location, count, view] = id.items;
  const dtype = isKind(type, "symbol") ? STORAGES.get(type.name) : undefined;
  if (tag !== "storage" || dtype === undefined || typeof location !== "string") {
    return fail("a persistent id of another form", "a storage");
  }
  if (typeof key !== "string" || !/^\d{1,20}$/.test(key)) {
    return fail(`the storage key ${JSON.stringify(String(key))}`, "a number");
  }
  if (!isCount(count)) return fail("a storage of no size", "a number of elements");
  if (id.items.length > 6 || (view ?? null) !== null) fail("a view of a storage", "a whole one");
  const storage: TorchStorage = { key, dtype, count };
  return { kind: "object", of: "storage", content: storage };
}

function rebuildTensor(args: readonly PickleValue[], fail: Fail): PickleValue {
  const [source, first, size, stride, grad, hooks] = args;
  if (args.length !== 6 || typeof grad !== "boolean") fail("a tensor of another form", "six arguments");
  checkHooks(hooks, fail);
  if (!isKind(source, "object") || source.of !== "storage")
    return fail("a tensor of no storage", "a storage");
  const storage = source.content as TorchStorage;
  const shape = sizes(size, fail);
  const strides = sizes(stride, fail);
  if (!isCount(first)) return fail("an offset that is no count", "0 or more");
  if (shape.length !== strides.length) fail(`${shape.length} sizes and ${strides.length} strides`, "as many");
  const elements = product(shape);
  if (!Number.isSafeInteger(elements * 8)) fail(`a tensor ${formatShape(shape)}`, "fewer elements");
  const last = elements === 0 ? -1 : shape.reduce((at, n, axis) => at + (n - 1) * strides[axis]!, 0);
  if (first + last + 1 > storage.count) {
    fail(`a tensor up to element ${first + last}`, `one inside its storage of ${storage.count}`);
  }
  const tensor: TorchTensor = { storage, first, shape, strides };
  return { kind: "object", of: "tensor", content: tensor };
}

function checkHooks(hooks: PickleValue | undefined, fail: Fail): void {
  if (!isKind(hooks, "dict") || hooks.entries.size > 0) fail("a tensor with hooks", "an empty OrderedDict");
}

function sizes(value: PickleValue | undefined, fail: Fail): number[] {
  if (!isKind(value, "tuple") || value.items.length > MAX_RANK)
    return fail("sizes of another form", "a tuple");
  return value.items.map((n) => (isCount(n) ? n : fail(`the size ${String(n)}`, "0 or more")));
}

function isCount(value: PickleValue | undefined): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/**
 * The tensors in an unpickled value by name: keys of nested dicts, and places in lists, joined by periods.
 * What is no tensor is passed over. Throws `file_corrupt` for two tensors of one name, for deep nesting, and
 * where there are none.
 */
export function namedTensors(root: PickleValue, where: string): ReadonlyMap<string, TorchTensor> {
  const fail = (seen: string, wanted: string): never => {
    throw new KandinskyError("file_corrupt", { what: "cannot use the PyTorch file", where, seen, wanted });
  };
  const found = new Map<string, TorchTensor>();
  let visits = 0;
  const visit = (value: PickleValue, path: readonly string[]): void => {
    if (++visits > MAX_VISITS) fail(`more than ${MAX_VISITS} values`, "a state dict");
    if (typeof value !== "object" || value === null || value.kind === "symbol") return;
    if (path.length > MAX_DEPTH) fail(`values nested more than ${MAX_DEPTH} deep`, "a state dict");
    if (value.kind === "object") {
      const name = path.join(".");
      if (value.of !== "tensor") return;
      if (found.has(name)) fail(`two tensors named "${name}"`, "each name once");
      found.set(name, value.content as TorchTensor);
    } else if (value.kind === "dict") {
      for (const [key, inner] of value.entries) visit(inner, [...path, String(key)]);
    } else {
      for (const [i, inner] of value.items.entries()) visit(inner, [...path, String(i)]);
    }
  };
  visit(root, []);
  if (found.size === 0) fail("no tensors", "a state dict");
  return found;
}

/** A file may hold views of one storage, but no more than a few times what it weighs. */
const MAX_EXPANSION = 4;
const EXPANSION_SLACK = 2 ** 20;

/** Places tensors in their file. Throws `file_corrupt` where they would be far larger than the file. */
export function placeTensors(
  tensors: ReadonlyMap<string, TorchTensor>,
  offsets: ReadonlyMap<string, number>,
  place: { readonly file: string; readonly fileSize: number; readonly shown: string },
): TorchEntry[] {
  let total = 0;
  const entries = [...tensors].map(([name, { storage, first, shape, strides }]) => {
    const size = ITEM_SIZE[storage.dtype];
    const byteLength = product(shape) * size;
    total += byteLength;
    const offset = offsets.get(storage.key)! + first * size;
    return { name, dtype: storage.dtype, shape, strides, file: place.file, offset, byteLength };
  });
  const limit = MAX_EXPANSION * place.fileSize + EXPANSION_SLACK;
  if (total <= limit) return entries;
  throw new KandinskyError("file_corrupt", {
    what: "cannot use the PyTorch file",
    where: place.shown,
    seen: `${total} bytes of tensors in a file of ${place.fileSize}`,
    wanted: `at most ${limit}`,
  });
}
