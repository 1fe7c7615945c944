import { cp, mkdtemp, open, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { Kandinsky3, openModel } from "./mod.ts";

const TINY = fileURLToPath(new URL("../../../golden/tiny-k3", import.meta.url));

/** A copy of the tiny model with values of one weight of a part replaced: the first, or all. */
async function spoil(part: "text" | "unet" | "movq", weight: string, value: number, all = false) {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-blame-")));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp(TINY, folder, { recursive: true, filter: (source) => basename(source) !== ".kandinsky" });
  const { file, offset, byteLength, dtype } = (await openModel(folder))[part].part.entries.get(weight)!;
  expect(dtype).toBe("float32");
  const bytes = new Uint8Array(new Float32Array(all ? byteLength / 4 : 1).fill(value).buffer);
  const handle = await open(file, "r+");
  await handle.write(bytes, 0, bytes.length, offset);
  await handle.close();
  return folder;
}

async function failureOf(folder: string): Promise<KandinskyError> {
  await using model = await Kandinsky3.load({ model: folder, cache: false, threads: 1 });
  try {
    for await (const _ of model.generate({ prompt: "x", seed: 0, steps: 1, width: 64, height: 64 }));
  } catch (error) {
    expect(error).toBeInstanceOf(KandinskyError);
    return error as KandinskyError;
  }
  throw new Error("drew a picture");
}

test.each([
  ["text", "encoder.block.1.layer.0.SelfAttention.q.weight", "the text encoder's result is not finite"],
  [
    "unet",
    "down_blocks.1.resnets_in.0.resnet_blocks.1.projection.weight",
    "the U-Net's result is not finite",
  ],
  ["movq", "decoder.mid_block.resnets.0.conv1.weight", "the MoVQ's result is not finite"],
] as const)(
  "Kandinsky3.generate names the first operation that makes a NaN in the %s: %s",
  async (part, weight, what) => {
    const { code, parts } = await failureOf(await spoil(part, weight, Number.NaN));
    expect([code, parts.what]).toEqual(["result_not_finite", what]);
    expect(parts.where).toContain(weight.slice(0, weight.lastIndexOf(".")));
  },
);

test("Kandinsky3.generate names where the decoder loses the picture, for a picture of one colour", async () => {
  const { code, parts } = await failureOf(await spoil("movq", "decoder.conv_out.weight", 0, true));
  expect(code).toBe("result_constant");
  expect(parts.where).toContain("decoder.conv_out");
});
