import type { Machine, PickleDict, PickleTuple, PickleValue } from "./pickle.ts";

type Opcode = (machine: Machine) => void;

/** The longest name in the released files has 90 characters. */
const MAX_STRING_BYTES = 2 ** 16;
const MAX_LONG_BYTES = 16;
const MAX_PROTOCOL = 5;

/** Every opcode that is understood, with its meaning; a pickle with any other is refused. */
export const OPCODES: ReadonlyMap<number, Opcode> = new Map<number, Opcode>(
  Object.entries({
    // PROTO, FRAME, STOP
    "\x80": (m) => {
      const protocol = byte(m);
      if (protocol > MAX_PROTOCOL) m.fail(`protocol ${protocol}`, `at most ${MAX_PROTOCOL}`);
    },
    "\x95": (m) => void long8(m),
    ".": () => {},
    // NONE, NEWTRUE, NEWFALSE
    N: (m) => push(m, null),
    "\x88": (m) => push(m, true),
    "\x89": (m) => push(m, false),
    // BININT, BININT1, BININT2, LONG1, BINFLOAT
    J: (m) => push(m, m.view.getInt32(take(m, 4), true)),
    K: (m) => push(m, byte(m)),
    M: (m) => push(m, m.view.getUint16(take(m, 2), true)),
    "\x8a": (m) => push(m, long1(m)),
    G: (m) => push(m, m.view.getFloat64(take(m, 8), false)),
    // BINUNICODE, SHORT_BINUNICODE
    X: (m) => push(m, text(m, m.view.getUint32(take(m, 4), true))),
    "\x8c": (m) => push(m, text(m, byte(m))),
    // MARK, EMPTY_TUPLE, TUPLE, TUPLE1 to TUPLE3
    "(": (m) => void m.marks.push(m.stack.length),
    ")": (m) => push(m, { kind: "tuple", items: [] }),
    t: (m) => push(m, { kind: "tuple", items: popMarked(m) }),
    "\x85": (m) => push(m, lastAsTuple(m, 1)),
    "\x86": (m) => push(m, lastAsTuple(m, 2)),
    "\x87": (m) => push(m, lastAsTuple(m, 3)),
    // EMPTY_LIST, APPEND, APPENDS
    "]": (m) => push(m, { kind: "list", items: [] }),
    a: (m) => append(m, [pop(m)]),
    e: (m) => append(m, popMarked(m)),
    // EMPTY_DICT, SETITEM, SETITEMS
    "}": (m) => push(m, { kind: "dict", ordered: false, entries: new Map() }),
    s: (m) => setItems(m, lastAsTuple(m, 2).items),
    u: (m) => setItems(m, popMarked(m)),
    // BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
    q: (m) => void m.memo.set(byte(m), top(m)),
    r: (m) => void m.memo.set(m.view.getUint32(take(m, 4), true), top(m)),
    "\x94": (m) => void m.memo.set(m.memo.size, top(m)),
    h: (m) => push(m, recall(m, byte(m))),
    j: (m) => push(m, recall(m, m.view.getUint32(take(m, 4), true))),
    // GLOBAL, STACK_GLOBAL, REDUCE, BUILD, BINPERSID
    c: (m) => push(m, symbol(m, line(m), line(m))),
    "\x93": (m) => {
      const [module, name] = lastAsTuple(m, 2).items;
      push(m, symbol(m, module, name));
    },
    R: reduce,
    b: build,
    Q: (m) => push(m, m.rules.persistent(pop(m), m.fail)),
  } satisfies Record<string, Opcode>).map(([char, opcode]) => [char.charCodeAt(0), opcode]),
);

/** Position of the next `count` bytes, which are passed over. */
function take(m: Machine, count: number): number {
  const at = m.at;
  if (at + count > m.bytes.length) m.fail("the end of the data", `${count} more bytes`);
  m.at += count;
  return at;
}

function byte(m: Machine): number {
  return m.bytes[take(m, 1)]!;
}

function long8(m: Machine): bigint {
  return m.view.getBigUint64(take(m, 8), true);
}

/** Two's complement, little-endian. */
function long1(m: Machine): number | bigint {
  const length = byte(m);
  if (length > MAX_LONG_BYTES) m.fail(`a number of ${length} bytes`, `at most ${MAX_LONG_BYTES}`);
  const at = take(m, length);
  let value = 0n;
  for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(m.bytes[at + i]!);
  const signed = BigInt.asIntN(8 * length, value);
  return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
}

function text(m: Machine, length: number): string {
  if (length > MAX_STRING_BYTES) m.fail(`a text of ${length} bytes`, `at most ${MAX_STRING_BYTES}`);
  return decode(m, take(m, length), length);
}

function line(m: Machine): string {
  const end = m.bytes.subarray(m.at, m.at + MAX_STRING_BYTES).indexOf(0x0a);
  if (end === -1) m.fail("a name without an end", "a line");
  return decode(m, take(m, end + 1), end);
}

function decode(m: Machine, at: number, length: number): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(
      m.bytes.subarray(at, at + length),
    );
  } catch {
    return m.fail("a text that is no UTF-8", "UTF-8");
  }
}

function push(m: Machine, value: PickleValue): void {
  m.stack.push(value);
}

/** Values below an open mark belong to it. */
function pop(m: Machine): PickleValue {
  if (m.stack.length <= (m.marks.at(-1) ?? 0)) m.fail("an empty stack", "a value");
  return m.stack.pop()!;
}

function top(m: Machine): PickleValue {
  if (m.stack.length <= (m.marks.at(-1) ?? 0)) m.fail("an empty stack", "a value");
  return m.stack.at(-1)!;
}

function popMarked(m: Machine): PickleValue[] {
  const mark = m.marks.pop();
  if (mark === undefined) return m.fail("no mark on the stack", "the opcode MARK before");
  return m.stack.splice(mark);
}

function lastAsTuple(m: Machine, count: number): PickleTuple {
  const items = Array.from({ length: count }, () => pop(m)).reverse();
  return { kind: "tuple", items };
}

function append(m: Machine, items: readonly PickleValue[]): void {
  const list = top(m);
  const target = isKind(list, "list") ? list : m.fail("APPEND to something else", "a list");
  for (const item of items) target.items.push(item);
}

function setItems(m: Machine, items: readonly PickleValue[]): void {
  const target = top(m);
  const { entries } = isKind(target, "dict") ? target : m.fail("SETITEM on something else", "a dict");
  if (items.length % 2 !== 0) m.fail("a key without a value", "pairs");
  for (let i = 0; i < items.length; i += 2) {
    const key = keyOf(m, items[i]!);
    if (entries.has(key)) m.fail(`the key ${JSON.stringify(String(key))} twice`, "each key once");
    entries.set(key, items[i + 1]!);
  }
}

function keyOf(m: Machine, value: PickleValue): string | number | bigint {
  const isKey = typeof value === "string" || typeof value === "number" || typeof value === "bigint";
  return isKey ? value : m.fail("a dict key that is no text or number", "text or a number");
}

function recall(m: Machine, index: number): PickleValue {
  const value = m.memo.get(index);
  return value === undefined ? m.fail(`memo ${index}, which is empty`, "a value put there before") : value;
}

function symbol(m: Machine, module: PickleValue | undefined, name: PickleValue | undefined): PickleValue {
  if (typeof module !== "string" || typeof name !== "string")
    return m.fail("a global without a name", "text");
  const dotted = `${module}.${name}`;
  if (!m.rules.globals.has(dotted)) {
    m.fail(`the global ${JSON.stringify(dotted)}`, "tensors and plain data", "file_unsafe");
  }
  return { kind: "symbol", name: dotted };
}

function reduce(m: Machine): void {
  const [callee, args] = lastAsTuple(m, 2).items as [PickleValue, PickleValue];
  push(
    m,
    isKind(callee, "symbol") && isKind(args, "tuple")
      ? m.rules.reduce(callee.name, args.items, m.fail)
      : m.fail("a call of something else", "a call of an allowed global", "file_unsafe"),
  );
}

/** A module's state dict carries its `_metadata` as the state of an OrderedDict: dropped. */
function build(m: Machine): void {
  pop(m);
  const target = top(m);
  if (isKind(target, "dict") && target.ordered) return;
  m.fail("the opcode BUILD", "BUILD on an OrderedDict only", "file_unsafe");
}

/** Whether a value is of one of the kinds with fields. */
export function isKind<K extends (PickleValue & { readonly kind: string })["kind"]>(
  value: PickleValue | undefined,
  kind: K,
): value is Extract<PickleValue, { readonly kind: K }> {
  return typeof value === "object" && value !== null && value.kind === kind;
}

/** An empty OrderedDict. */
export function orderedDict(): PickleDict {
  return { kind: "dict", ordered: true, entries: new Map() };
}
