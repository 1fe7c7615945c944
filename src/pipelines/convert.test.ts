import { execFile } from "node:child_process";
import { cp, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { expect, onTestFinished, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { type NamedTensor, readSafetensorsHeader, readTensor, writeSafetensors } from "../checkpoint/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { convertCheckpoints } from "./convert.node.ts";
import { Kandinsky3 } from "./kandinsky3.node.ts";
import { openModel, readNullEmbedding } from "./model.node.ts";

const GOLDEN = fileURLToPath(new URL("../../../golden/", import.meta.url));
const NATIVE = [join(GOLDEN, "native/kandinsky3.pt"), join(GOLDEN, "native/projection.pt")];

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "kandinsky-convert-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

async function tensorsOf(path: string): Promise<Map<string, Tensor>> {
  const tensors = new Map<string, Tensor>();
  for (const [name, entry] of (await readSafetensorsHeader(path)).entries) {
    tensors.set(name, await readTensor(entry));
  }
  return tensors;
}

/** As many tensors, each bit-equal. */
async function expectEqual(path: string, wanted: string): Promise<void> {
  const [seen, expected] = [await tensorsOf(path), await tensorsOf(wanted)];
  expect([...seen.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, tensor] of expected) {
    expect(seen.get(name)!.shape, name).toEqual(tensor.shape);
    expect(Buffer.from(seen.get(name)!.data.buffer).equals(Buffer.from(tensor.data.buffer)), name).toBe(true);
  }
}

async function errorOf(inputs: readonly string[], output: string): Promise<KandinskyError> {
  const error: unknown = await convertCheckpoints(inputs, output, () => {}).catch((cause) => cause);
  if (error instanceof KandinskyError) return error;
  throw new Error(`no error of ours: ${String(error)}`);
}

test("convertCheckpoints: the native U-Net and its projection are the U-Net of diffusers, bit for bit", async () => {
  const output = await temporaryFolder();
  await cp(join(GOLDEN, "tiny-k3"), output, {
    recursive: true,
    filter: (source) => !source.endsWith("unet/diffusion_pytorch_model.safetensors"),
  });
  const told: number[][] = [];
  const done = await convertCheckpoints(NATIVE, output, (...numbers) => told.push(numbers));
  const unet = "unet/diffusion_pytorch_model.safetensors";
  await expectEqual(join(output, unet), join(GOLDEN, "tiny-k3", unet));
  expect(done.files.map(({ path, tensors }) => [path, tensors])).toEqual([
    [join(output, unet), 1063],
    [join(output, "null_embedding.safetensors"), 1],
  ]);
  expect([done.dropped, done.missing]).toEqual([[], []]);
  const total = done.files.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(told.at(-1)).toEqual([total, total]);
  const model = await openModel(output);
  expect(model.info).toMatchObject({ profile: "native", hasNullEmbedding: true });
  const stored = await tensorsOf(join(GOLDEN, "native/null_embedding.safetensors"));
  expect(await readNullEmbedding(model)).toEqual(stored.get("null_embedding")!.data);
});

test("convertCheckpoints: a native MoVQ is that of diffusers, bit for bit", async () => {
  const folder = await temporaryFolder();
  const file = "movq/diffusion_pytorch_model.safetensors";
  const { rows } = JSON.parse(await readFile(join(GOLDEN, "native/movq-keys.json"), "utf8")) as {
    rows: [native: string, diffusers: string, nativeShape: number[], shape: number[]][];
  };
  const source = await tensorsOf(join(GOLDEN, "tiny-k3", file));
  const native: NamedTensor[] = rows.map(([name, diffusers, shape]) => ({
    name,
    tensor: { ...source.get(diffusers)!, shape },
  }));
  native.push({ name: "quantize.embedding.weight", tensor: source.get("quantize.embedding.weight")! });
  await writeSafetensors(join(folder, "movq.pt"), native, {});
  const done = await convertCheckpoints([join(folder, "movq.pt")], join(folder, "out"), () => {});
  await expectEqual(join(folder, "out", file), join(GOLDEN, "tiny-k3", file));
  const out = (path: string) => join(folder, "out", path);
  expect(done.missing).toEqual([
    { kind: "weights", path: out("unet/diffusion_pytorch_model.safetensors") },
    { kind: "config", path: out("movq/config.json") },
    { kind: "weights", path: out("text_encoder/model.safetensors") },
    { kind: "tokenizer", path: out("tokenizer/spiece.model") },
  ]);
});

test("convertCheckpoints: an original set becomes a model that draws, without a codebook too", async () => {
  const folder = await temporaryFolder();
  const [input, output] = [join(folder, "flan"), join(folder, "out")];
  for (const name of ["text_encoder", "tokenizer"])
    await cp(join(GOLDEN, "tiny-k3", name), input, { recursive: true });
  const { rows } = JSON.parse(await readFile(join(GOLDEN, "native/movq-keys.json"), "utf8")) as {
    rows: [native: string, diffusers: string, nativeShape: number[]][];
  };
  const source = await tensorsOf(join(GOLDEN, "tiny-k3/movq/diffusion_pytorch_model.safetensors"));
  // As the original has it: no codes.
  const movq = rows
    .filter(([name]) => !name.startsWith("quantize."))
    .map(([name, diffusers, shape]) => ({ name, tensor: { ...source.get(diffusers)!, shape } }));
  await writeSafetensors(join(folder, "movq.pt"), movq, {});
  // Of a size of its own, so its configurations are not known.
  for (const part of ["unet", "movq"])
    await cp(join(GOLDEN, "tiny-k3", part, "config.json"), join(output, part, "config.json"));
  const inputs = [...NATIVE, join(folder, "movq.pt"), join(input, "model.safetensors")];
  const { missing } = await convertCheckpoints(inputs, output, () => {});
  expect(missing).toEqual([]);
  await using model = await Kandinsky3.load({ model: output, threads: 1 });
  expect(model.info).toMatchObject({ profile: "native", hasNullEmbedding: true });
  const request = { prompt: "two cats", steps: 1, seed: 0, width: 64, height: 64 };
  const pictures: number[] = [];
  for await (const event of model.generate(request)) {
    if (event.type === "picture") pictures.push(event.picture.width);
  }
  expect(pictures).toEqual([64]);
  // Once more: only with leave, and what was put there by hand stays.
  const config = await readFile(join(output, "unet/config.json"), "utf8");
  expect((await errorOf(inputs, output)).parts.hint).toBe(
    "name another output, or replace it with --overwrite",
  );
  await convertCheckpoints(inputs, output, () => {}, { overwrite: true });
  expect(await readFile(join(output, "unet/config.json"), "utf8")).toBe(config);
  expect((await openModel(output)).info.profile).toBe("native");
});

test("convertCheckpoints: shards of a text encoder become one file without the decoder and copies", async () => {
  const folder = await temporaryFolder();
  const index = join(GOLDEN, "checkpoints/pytorch_model.bin.index.json");
  await convertCheckpoints([index], folder, () => {});
  const seen = await tensorsOf(join(folder, "text_encoder/model.safetensors"));
  const expected = await tensorsOf(join(GOLDEN, "tiny-k3/text_encoder/model.safetensors"));
  expect(seen.size).toBe(11);
  for (const [name, tensor] of seen) expect(tensor, name).toEqual(expected.get(name));
  const one = float32([1], [1]);
  const names = ["encoder.block.0.layer.0.SelfAttention.q.weight", "shared.weight"];
  const unused = ["encoder.embed_tokens.weight", "decoder.block.0.x", "lm_head.weight"];
  const path = join(folder, "whole.safetensors");
  await writeSafetensors(
    path,
    [...names, ...unused].map((name) => ({ name, tensor: one })),
    {},
  );
  const { dropped, files } = await convertCheckpoints([path], join(folder, "b"), () => {});
  expect([[...dropped].sort(), files[0]!.tensors]).toEqual([[...unused].sort(), 2]);
});

test("convertCheckpoints: any other file keeps its names", async () => {
  const folder = await temporaryFolder();
  const output = join(folder, "views.safetensors");
  await convertCheckpoints([join(GOLDEN, "checkpoints/views-legacy.pt")], output, () => {});
  const expected = await tensorsOf(join(GOLDEN, "checkpoints/expected-tensors.safetensors"));
  for (const [name, tensor] of await tensorsOf(output)) {
    expect(tensor, name).toEqual(expected.get(`views/${name}`));
  }
});

test("convertCheckpoints refuses what it cannot make whole, and writes nothing then", async () => {
  const folder = await temporaryFolder();
  const output = join(folder, "out");
  const hostile = join(GOLDEN, "checkpoints/hostile/reduce-os-system.pt");
  expect((await errorOf([NATIVE[0]!, hostile], output)).code).toBe("file_unsafe");
  expect((await errorOf([NATIVE[0]!], output)).message).toContain("text projection");
  expect((await errorOf([NATIVE[1]!], output)).message).toContain("U-Net");
  expect((await errorOf([join(folder, "none.pt")], output)).code).toBe("file_missing");
  expect((await errorOf([join(GOLDEN, "checkpoints/views.pt")], output)).code).toBe("option_invalid");
  const odd = join(folder, "odd.safetensors");
  await writeSafetensors(
    odd,
    ["in_layer.weight", "down_samples.x"].map((name) => ({ name, tensor: float32([1], [1]) })),
    {},
  );
  const unknown = await errorOf([odd, NATIVE[1]!], output);
  expect([unknown.code, unknown.parts.seen]).toEqual([
    "tensor_unexpected",
    'the tensor "down_samples.x" [1]',
  ]);
  expect(await readdir(folder)).toEqual(["odd.safetensors"]);
  await writeFile(output, "");
  expect((await errorOf(NATIVE, output)).code).toBe("output_unwritable");
  const taken = join(folder, "taken.safetensors");
  await writeFile(taken, "mine");
  expect((await errorOf([join(GOLDEN, "checkpoints/views.pt")], taken)).code).toBe("output_exists");
  expect(await readFile(taken, "utf8")).toBe("mine");
});

test("convertCheckpoints: half of the shards is an error", async () => {
  const folder = await temporaryFolder();
  for (const name of ["pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"]) {
    await cp(join(GOLDEN, "checkpoints", name), join(folder, name));
  }
  const error = await errorOf([join(folder, "pytorch_model.bin.index.json")], join(folder, "out"));
  expect([error.code, error.message.includes("pytorch_model-00002-of-00002.bin")]).toEqual([
    "file_missing",
    true,
  ]);
});

/** Bytes of a pickle of {"big": [256, 2^20] of storage 0, "across": its first 2^24 values, transposed}. */
function sparsePickle(count: number): Buffer {
  const text = (value: string) => Buffer.concat([Buffer.from("X"), int32(value.length), Buffer.from(value)]);
  const int = (value: number) => Buffer.concat([Buffer.from("J"), int32(value)]);
  const pair = (a: number, b: number) => Buffer.concat([int(a), int(b), Buffer.from([0x86])]);
  const view = (shape: Buffer, strides: Buffer) => [
    Buffer.from("ctorch._utils\n_rebuild_tensor_v2\n(("),
    text("storage"),
    Buffer.from("ctorch\nFloatStorage\n"),
    ...["0", "cpu"].map(text),
    int(count),
    Buffer.from("tQ"),
    int(0),
    shape,
    strides,
    Buffer.from([0x89]),
    Buffer.from("ccollections\nOrderedDict\n)RtR"),
  ];
  return Buffer.concat([
    Buffer.from([0x80, 2]),
    Buffer.from("}("),
    text("big"),
    ...view(pair(count / 2 ** 20, 2 ** 20), pair(2 ** 20, 1)),
    text("across"),
    ...view(pair(4096, 4096), pair(1, 4096)),
    Buffer.from("u."),
  ]);
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

/** Writes a stored zip archive whose last record is a hole of `size` bytes. */
async function writeSparse(path: string, pickle: Buffer, size: number): Promise<void> {
  const handle = await open(path, "w");
  let at = 0;
  const central: Buffer[] = [];
  for (const [name, length, bytes] of [
    ["a/data.pkl", pickle.length, pickle],
    ["a/data/0", size, undefined],
  ] as const) {
    const record = Buffer.alloc(46);
    record.write("PK\x01\x02", "latin1");
    record.writeUInt32LE(length, 20);
    record.writeUInt32LE(length, 24);
    record.writeUInt16LE(name.length, 28);
    record.writeUInt32LE(at, 42);
    central.push(record, Buffer.from(name));
    const header = Buffer.alloc(30 + name.length);
    header.write("PK\x03\x04", "latin1");
    header.writeUInt32LE(length, 18);
    header.writeUInt32LE(length, 22);
    header.writeUInt16LE(name.length, 26);
    header.write(name, 30);
    await handle.write(header, 0, header.length, at);
    if (bytes !== undefined) await handle.write(bytes, 0, bytes.length, at + header.length);
    at += header.length + length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(2, 8);
  end.writeUInt16LE(2, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(at, 16);
  await handle.write(Buffer.concat([directory, end]), 0, directory.length + 22, at);
  await handle.close();
}

test("convertCheckpoints: a file of 1 GB takes at most 300 MB of memory", { timeout: 240_000 }, async () => {
  const folder = await temporaryFolder();
  const count = 2 ** 28;
  await writeSparse(join(folder, "big.pt"), sparsePickle(count), 4 * count);
  const program = `
    const { convertCheckpoints } = await import(${JSON.stringify(pathToFileURL(fileURLToPath(new URL("./convert.node.js", import.meta.url))))});
    const { files } = await convertCheckpoints(["big.pt"], "big.safetensors", () => {});
    console.log(JSON.stringify([files[0].bytes, process.resourceUsage().maxRSS * 1024]));`;
  const child = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], {
    cwd: folder,
  });
  const [bytes, peak] = JSON.parse(child.stdout) as [number, number];
  expect(bytes).toBe(4 * count + 2 ** 26);
  expect(peak, "bytes at the peak").toBeLessThan(300e6);
});
