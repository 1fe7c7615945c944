import { cp, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
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

test("openModel refuses an inpainting U-Net for drawing from text", async () => {
  const folder = join(root, "inpaint");
  await cp(join(GOLDEN, "tiny-k3"), folder, { recursive: true });
  await rm(join(folder, "unet"), { recursive: true });
  await cp(join(GOLDEN, "tiny-k3-inpaint/unet"), join(folder, "unet"), { recursive: true });
  const { code, parts } = await failure(folder);
  expect(code).toBe("model_config");
  expect(parts).toEqual({
    what: "the parts of this model do not fit together",
    where: folder,
    seen: "9 input channels of the U-Net",
    wanted: "4, the latent channels of the MoVQ",
    hint: "a U-Net of 9 input channels is made for inpainting",
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
