import { cp, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { type NamedTensor, readSafetensorsHeader, readTensor, writeSafetensors } from "../checkpoint/mod.ts";
import { zeros } from "../tensor/mod.ts";
import { openModel } from "./model.node.ts";

const GOLDEN = fileURLToPath(new URL("../../../golden", import.meta.url));

let root: string;
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-model-")));
});
afterAll(() => rm(root, { recursive: true }));

async function failure(path: string): Promise<KandinskyError> {
  const error: unknown = await openModel(path).catch((cause: unknown) => cause);
  expect(error).toBeInstanceOf(KandinskyError);
  return error as KandinskyError;
}

test("openModel refuses a U-Net that takes neither latents alone nor what inpainting adds to them", async () => {
  const folder = join(root, "five");
  await cp(join(GOLDEN, "tiny-k3"), folder, { recursive: true });
  const unet = join(folder, "unet");
  const config = JSON.parse(await readFile(join(unet, "config.json"), "utf8"));
  await writeFile(join(unet, "config.json"), JSON.stringify({ ...config, in_channels: 5, out_channels: 4 }));
  const file = join(unet, "diffusion_pytorch_model.safetensors");
  const { entries } = await readSafetensorsHeader(file);
  const tensors: NamedTensor[] = [];
  for (const [name, entry] of entries) {
    const tensor =
      name === "conv_in.weight" ? zeros("float32", entry.shape.with(1, 5)) : await readTensor(entry);
    tensors.push({ name, tensor });
  }
  await writeSafetensors(file, tensors, {});
  const { code, parts } = await failure(folder);
  expect(code).toBe("model_config");
  expect(parts).toMatchObject({
    what: "the parts of this model do not fit together",
    where: folder,
    seen: "5 input channels of the U-Net",
    wanted: "4, the latent channels of the MoVQ (inpainting: twice as many and a mask)",
  });
});

test("openModel refuses a tokenizer with more tokens than the encoder has rows", async () => {
  const folder = join(root, "tokens");
  await cp(join(GOLDEN, "tiny-k3"), folder, { recursive: true });
  const nano = fileURLToPath(new URL("../../../models/nano/tokenizer", import.meta.url));
  await cp(nano, join(folder, "tokenizer"), { recursive: true, force: true });
  const { code, parts } = await failure(folder);
  expect(code).toBe("model_config");
  expect(parts.seen).toMatch(/^80\d\d tokens of the tokenizer$/);
  expect(parts.wanted).toBe("1024, the rows of the text encoder's embedding");
});
