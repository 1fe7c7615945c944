import { expect, test } from "vitest";
import { PLAIN, unpickle } from "./pickle.ts";
import { errorOf } from "./test-support.ts";
import { namedTensors, TORCH_RULES } from "./torch.ts";

function run(text: string, rules = PLAIN) {
  return unpickle(Buffer.from(text, "latin1"), 0, rules, "x.pt");
}

async function refusal(text: string, rules = PLAIN) {
  const { code, parts } = await errorOf(() => run(text, rules));
  return [code, parts.seen];
}

test("unpickle reads plain data and says where it ended", () => {
  const { value, end } = run(
    "\x80\x02}(X\x01\x00\x00\x00aK\x07\x8c\x01b](\x88\x89NG\x3f\xf8\x00\x00\x00\x00\x00\x00eu.rest",
  );
  const list = { kind: "list", items: [true, false, null, 1.5] };
  expect(value).toEqual({
    kind: "dict",
    ordered: false,
    entries: new Map<string, unknown>([
      ["a", 7],
      ["b", list],
    ]),
  });
  expect(end).toBe(32);
  expect(run("\x8a\x02\x00\x80.").value).toBe(-32768);
  expect(run("\x8a\x0al\xfc\x9cF\xf9\x20j\xa8P\x19.").value).toBe(0x1950a86a20f9469cfc6cn);
});

test.each([
  ["0.", "file_unsafe", "the opcode 0x30 (POP)"],
  ["cos\nsystem\n.", "file_unsafe", 'the global "os.system"'],
  ["\x8c\x02os\x8c\x06system\x93.", "file_unsafe", 'the global "os.system"'],
  ["NN.", "file_corrupt", "2 values at STOP"],
  ["(.", "file_corrupt", "0 values at STOP"],
  ["(N\x85", "file_corrupt", "the end of the data"],
  ["N(\x85.", "file_corrupt", "an empty stack"],
  ["}Ns.", "file_corrupt", "an empty stack"],
  ["}NNs.", "file_corrupt", "a dict key that is no text or number"],
  ["}(K\x01NK\x01Nu.", "file_corrupt", 'the key "1" twice'],
  ["}(Nu.", "file_corrupt", "a key without a value"],
  ["h\x05.", "file_corrupt", "memo 5, which is empty"],
  ["}}b.", "file_unsafe", "the opcode BUILD"],
  ["X\xff\xff\xff\x7f.", "file_corrupt", "a text of 2147483647 bytes"],
  ["\x8c\x01\xff.", "file_corrupt", "a text that is no UTF-8"],
  ["\x80\x09.", "file_corrupt", "protocol 9"],
  ["K", "file_corrupt", "the end of the data"],
])("unpickle refuses %j", async (text, code, seen) => {
  expect(await refusal(text)).toEqual([code, seen]);
});

test("unpickle stops at a million opcodes", async () => {
  const before = { time: performance.now(), memory: process.memoryUsage().rss };
  expect(await refusal("]".repeat(32 * 2 ** 20))).toEqual(["file_corrupt", "more than 1000000 opcodes"]);
  expect(performance.now() - before.time).toBeLessThan(1000);
  expect(process.memoryUsage().rss - before.memory).toBeLessThan(300e6);
});

test("unpickle gives a storage type as a name and calls nothing by it", async () => {
  expect(run("ctorch\nFloatStorage\n.", TORCH_RULES).value).toEqual({
    kind: "symbol",
    name: "torch.FloatStorage",
  });
  expect(await refusal("ctorch\nFloatStorage\n)R.", TORCH_RULES)).toEqual([
    "file_corrupt",
    'a call of "torch.FloatStorage"',
  ]);
});

test("namedTensors refuses a list inside itself and lists that double up", async () => {
  const seen = async (text: string) => (await errorOf(() => namedTensors(run(text).value, "x"))).parts.seen;
  expect(await seen("]q\x00h\x00a.")).toBe("values nested more than 32 deep");
  const doubling = Array.from(
    { length: 25 },
    (_, i) => `]q${String.fromCharCode(i + 1)}h${String.fromCharCode(i)}ah${String.fromCharCode(i)}a`,
  );
  expect(await seen(`(]q\x00${doubling.join("")}t.`)).toBe("more than 1000000 values");
});
