import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { KandinskyError } from "../../src/base/mod.ts";
import { readCheckpoint, readTorchTensor, type TorchEntry } from "../../src/checkpoint/mod.ts";
import { convertCheckpoints } from "../../src/pipelines/mod.ts";
import { numberToBfloat16, numberToFloat16, type Tensor } from "../../src/tensor/mod.ts";
import type { Context } from "./context.ts";
import { readJsonAs } from "./folder.ts";
import { reasonOf } from "./report.ts";

export const CHECKPOINTS_FILE = "checkpoints/expected.json";

const schema = z.object({
  files: z.record(z.string(), z.object({ expect: z.enum(["accept", "reject", "either"]), why: z.string() })),
});

const MAX_REFUSAL_MILLISECONDS = 1000;
const PWNED = "PWNED";

type Wanted = ReadonlyMap<string, Tensor>;

/** What the values of accepted files are held to: a file, and how its tensors are made of that file's. */
const VALUES: readonly {
  readonly files: RegExp;
  readonly source: string;
  readonly of: (wanted: Wanted, name: string) => Tensor | undefined;
}[] = [
  { files: /^views/, source: "checkpoints/expected-tensors.safetensors", of: (w, n) => w.get(`views/${n}`) },
  {
    files: /^dtypes/,
    source: "checkpoints/expected-tensors.safetensors",
    of: (w, n) => w.get(`dtypes/${n}`),
  },
  { files: /^mini-fp16/, source: "native/kandinsky3.pt", of: rounded("float16", numberToFloat16) },
  { files: /^mini-bf16/, source: "native/kandinsky3.pt", of: rounded("bfloat16", numberToBfloat16) },
  { files: /^mini-/, source: "native/kandinsky3.pt", of: (w, n) => w.get(n) },
  { files: /^pytorch_model/, source: "tiny-k3/text_encoder/model.safetensors", of: (w, n) => w.get(n) },
  { files: /^odd\/st-header-unaligned/, source: "checkpoints/handmade.safetensors", of: (w, n) => w.get(n) },
];

function rounded(dtype: "float16" | "bfloat16", round: (value: number) => number) {
  return (wanted: Wanted, name: string): Tensor | undefined => {
    const source = wanted.get(name);
    return source && { ...source, dtype, data: Uint16Array.from(source.data as Float32Array, round) };
  };
}

/** Files of strangers: those to accept bit for bit, those to refuse at once, and the native model converted. */
export async function checkpoints(context: Context): Promise<void> {
  const { folder, report } = context;
  const { files } = await readJsonAs(folder, CHECKPOINTS_FILE, schema);
  const places = [process.cwd(), folder, join(folder, "checkpoints"), join(folder, "checkpoints", "hostile")];
  const before = places.map((place) => existsSync(join(place, PWNED)));
  for (const [file, { expect, why }] of Object.entries(files)) {
    const name = `checkpoints/${file}`;
    const start = performance.now();
    try {
      const entries = await readCheckpoint(join(folder, name));
      if (expect === "reject") report.fail(name, `accepted, though: ${why}`);
      else await compareValues(context, file, entries);
    } catch (error) {
      const isRefusal = error instanceof KandinskyError && error.fault === "user";
      if (expect === "accept" || !isRefusal) report.fail(name, reasonOf(error));
      else tellRefusal(context, name, performance.now() - start);
    }
  }
  for (const [i, place] of places.entries()) {
    if (!before[i] && existsSync(join(place, PWNED))) report.fail(place, `${PWNED} was made`);
  }
  await convertNative(context);
}

/** A refusal is no tensor: it is told, and fails where it took long. */
function tellRefusal({ report }: Context, name: string, milliseconds: number): void {
  if (milliseconds <= MAX_REFUSAL_MILLISECONDS) report.note(`${name}  refused`);
  else report.fail(name, `refused after ${Math.round(milliseconds)} ms, wanted ${MAX_REFUSAL_MILLISECONDS}`);
}

async function compareValues(context: Context, file: string, entries: readonly TorchEntry[]): Promise<void> {
  const rule = VALUES.find(({ files }) => files.test(file));
  if (rule === undefined) return;
  const wanted = await tensorsOf(join(context.folder, rule.source));
  const seen = await valuesOf(entries);
  compareAll(context, `checkpoints/${file}`, seen, (name) => rule.of(wanted, name));
}

/** One finding a file: how many tensors are not bit for bit the same. */
function compareAll(
  { report }: Context,
  name: string,
  seen: Wanted,
  wanted: (name: string) => Tensor | undefined,
): void {
  const worst = [...seen].filter(([key, tensor]) => !isSame(tensor, wanted(key))).length;
  const ratio = worst === 0 ? 0 : Number.POSITIVE_INFINITY;
  report.add({ name, tolerance: "exact", worst, place: [], ratio });
}

function isSame(seen: Tensor, wanted: Tensor | undefined): boolean {
  return (
    wanted !== undefined &&
    seen.dtype === wanted.dtype &&
    seen.shape.join() === wanted.shape.join() &&
    bytesOf(seen).equals(bytesOf(wanted))
  );
}

function bytesOf({ data }: Tensor): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}

async function tensorsOf(path: string): Promise<Wanted> {
  return valuesOf(await readCheckpoint(path));
}

async function valuesOf(entries: readonly TorchEntry[]): Promise<Wanted> {
  const tensors = new Map<string, Tensor>();
  for (const entry of entries) tensors.set(entry.name, await readTorchTensor(entry));
  return tensors;
}

/** The native U-Net and projection, converted, against the U-Net that diffusers saved. */
async function convertNative(context: Context): Promise<void> {
  const inputs = ["native/kandinsky3.pt", "native/projection.pt"].map((name) => join(context.folder, name));
  if (!inputs.every((path) => existsSync(path))) return;
  const output = await mkdtemp(join(tmpdir(), "kandinsky-parity-"));
  try {
    const { files } = await convertCheckpoints(inputs, output, () => {});
    for (const { path } of files) {
      const isUnet = dirname(path) !== output;
      const source = isUnet ? "tiny-k3/unet/diffusion_pytorch_model" : "native/null_embedding";
      const [seen, wanted] = [
        await tensorsOf(path),
        await tensorsOf(join(context.folder, `${source}.safetensors`)),
      ];
      const name = `converted ${isUnet ? "U-Net" : "null embedding"}`;
      compareAll(context, name, seen, (key) => wanted.get(key));
      // The file of null embeddings also has that of another model.
      if (isUnet && seen.size !== wanted.size) {
        context.report.fail(name, `${seen.size} tensors of ${wanted.size}`);
      }
    }
  } finally {
    await rm(output, { recursive: true, force: true });
  }
}
