import { mkdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { expect, test } from "vitest";
import { float32 } from "../tensor/mod.ts";
import { openModelFolder, requirePart } from "./folder.node.ts";
import { openPart } from "./part.node.ts";
import { copyGolden, errorOf, GOLDEN, temporaryFolder } from "./test-support.ts";
import { readTensorAsFloat32 } from "./values.node.ts";
import { writeSafetensors } from "./write.node.ts";

const UNET_FILE = "diffusion_pytorch_model.safetensors";

/** Making links takes a privilege on Windows. */
const testLinks = test.skipIf(process.platform === "win32");

test("openModelFolder opens every part of a whole model", async () => {
  const model = await openModelFolder(await copyGolden("tiny-k3"));
  const { unet, movq, text_encoder, scheduler } = model.parts;
  expect(model.index.get("_class_name")).toBe("Kandinsky3Pipeline");
  expect(unet!.config).toMatchObject({ _class_name: "Kandinsky3UNet" });
  expect(unet!.tensors.get("conv_in.weight")!.shape).toEqual([4, 4, 3, 3]);
  expect(movq!.tensors.get("quantize.embedding.weight")!.shape).toEqual([64, 4]);
  expect(text_encoder!.tensors.get("shared.weight")!.shape).toEqual([1024, 32]);
  expect(scheduler!.config).toMatchObject({ prediction_type: "epsilon" });
  expect(requirePart(model, "unet")).toBe(unet);
});

test("requirePart names the folder that is not there", async () => {
  const folder = await copyGolden("tiny-k3");
  await rm(join(folder, "movq"), { recursive: true });
  const model = await openModelFolder(folder);
  const error = await errorOf(() => requirePart(model, "movq"));
  expect(error.code).toBe("file_missing");
  expect(error.parts.where).toBe(join(folder, "movq"));
});

test("openPart reads shards of mixed types by their index, in the old and the new naming", async () => {
  const folder = await copyGolden("tiny-k3-fp16/text_encoder");
  const old = await openPart(folder);
  const wo = old.tensors.get("encoder.block.0.layer.1.DenseReluDense.wo.weight")!;
  expect(wo.dtype).toBe("float32");
  expect(old.tensors.get("shared.weight")!.dtype).toBe("float16");
  expect(new Set([...old.tensors.values()].map(({ file }) => file)).size).toBe(2);

  const index = join(folder, "model.safetensors.index.fp16.json");
  const text = await readFile(index, "utf8");
  for (const shard of ["00001-of-00002", "00002-of-00002"]) {
    await rename(
      join(folder, `model.fp16-${shard}.safetensors`),
      join(folder, `model-${shard}.fp16.safetensors`),
    );
  }
  await writeFile(index, text.replaceAll(/model\.fp16-(\d+-of-\d+)/g, "model-$1.fp16"));
  expect([...(await openPart(folder)).tensors.keys()].sort()).toEqual([...old.tensors.keys()].sort());
});

test("openPart reads the variants bf16 and none, and prefers none, then an index", async () => {
  const folder = await copyGolden("tiny-k3-fp16/unet");
  expect((await openPart(folder)).tensors.get("conv_in.weight")!.dtype).toBe("bfloat16");
  const fp16 = await readFile(join(folder, "diffusion_pytorch_model.bf16.safetensors"));
  await writeFile(join(folder, "diffusion_pytorch_model.fp16.safetensors"), fp16);
  expect((await openPart(folder)).tensors.get("conv_in.weight")!.file).toContain(".fp16.");
  await copyGolden("tiny-k3/unet", folder);
  expect((await openPart(folder)).tensors.get("conv_in.weight")!.dtype).toBe("float32");
  const { tensors } = await openPart(folder);
  const map = [...tensors.keys()].map((name) => [name, "diffusion_pytorch_model.bf16.safetensors"]);
  await writeFile(
    join(folder, "diffusion_pytorch_model.safetensors.index.json"),
    JSON.stringify({ weight_map: Object.fromEntries(map) }),
  );
  expect((await openPart(folder)).tensors.get("conv_in.weight")!.dtype).toBe("bfloat16");
});

test("openPart: BF16 weights widen to the stored float32 within their rounding", async () => {
  const rounded = await openPart(join(GOLDEN, "tiny-k3-fp16/unet"));
  const exact = await openPart(join(GOLDEN, "tiny-k3/unet"));
  let worst = { ratio: 0, name: "" };
  for (const [name, entry] of exact.tensors) {
    const a = (await readTensorAsFloat32(rounded.tensors.get(name)!)).data;
    const b = (await readTensorAsFloat32(entry)).data;
    b.forEach((value, i) => {
      const ratio = Math.abs(a[i]! - value) / (Math.abs(value) * 2 ** -8 + 1e-38);
      if (ratio > worst.ratio) worst = { ratio, name };
    });
  }
  expect(worst.ratio, `of half a BF16 step, at ${worst.name}`).toBeLessThanOrEqual(1);
});

/** Rewrites the index of a sharded encoder. */
async function withIndex(change: (map: Record<string, string>) => void) {
  const folder = await copyGolden("tiny-k3-fp16/text_encoder");
  const index = join(folder, "model.safetensors.index.fp16.json");
  const json = JSON.parse(await readFile(index, "utf8")) as { weight_map: Record<string, string> };
  change(json.weight_map);
  await writeFile(index, JSON.stringify(json));
  return { folder, index };
}

test("openPart: an index that names a missing shard", async () => {
  const { folder } = await withIndex(() => undefined);
  await rm(join(folder, "model.fp16-00002-of-00002.safetensors"));
  const error = await errorOf(() => openPart(folder));
  expect(error.code).toBe("file_missing");
  expect(error.message).toContain("model.fp16-00002-of-00002.safetensors");
  expect(error.message).toContain("model.safetensors.index.fp16.json");
});

test("openPart: an index that places a tensor in a shard without it", async () => {
  const { folder } = await withIndex((map) => {
    map["shared.weight"] = "model.fp16-00002-of-00002.safetensors";
    map["ghost.weight"] = "model.fp16-00001-of-00002.safetensors";
  });
  const error = await errorOf(() => openPart(folder));
  expect(error.code).toBe("tensor_missing");
  expect(error.message).toMatch(
    /"(shared|ghost)\.weight" is not in "model\.fp16-0000\d-of-00002\.safetensors"/,
  );
});

test.each(["../outside.safetensors", "sub/in.safetensors", "..\\outside.safetensors", "/etc/passwd"])(
  "openPart refuses the shard name %s",
  async (shard) => {
    const { folder } = await withIndex((map) => {
      map["shared.weight"] = shard;
    });
    const error = await errorOf(() => openPart(folder));
    expect(error.code).toBe("file_escapes");
    expect(error.message).toContain(JSON.stringify(shard).slice(1, -1).replaceAll("\\\\", "\\"));
  },
);

test("openPart: an index that is no index", async () => {
  const { folder, index } = await withIndex(() => undefined);
  for (const text of ["{", "[]", '{"weight_map":[]}', '{"weight_map":{"a":1}}', "null"]) {
    await writeFile(index, text);
    const error = await errorOf(() => openPart(folder));
    expect(error.code, text).toBe("file_corrupt");
    expect(error.message).toContain(index);
  }
});

test("openPart: shards without their index, pickles only, nothing at all", async () => {
  const { folder, index } = await withIndex(() => undefined);
  await rm(index);
  expect((await errorOf(() => openPart(folder))).message).toContain("download the index");
  const empty = await temporaryFolder();
  await writeFile(join(empty, "config.json"), "{}");
  expect((await errorOf(() => openPart(empty))).code).toBe("file_missing");
  await writeFile(join(empty, "diffusion_pytorch_model.bin"), "");
  expect((await errorOf(() => openPart(empty))).message).toContain("pickle");
});

test("openPart: a truncated weights file is named", async () => {
  const folder = await copyGolden("tiny-k3-inpaint/unet");
  const path = join(folder, UNET_FILE);
  await writeFile(path, (await readFile(path)).subarray(0, 300_000));
  const error = await errorOf(() => openPart(folder));
  expect(error.code).toBe("file_corrupt");
  expect(error.parts.where).toBe(path);
});

test("openPart: no config.json", async () => {
  expect((await errorOf(() => openPart(join(GOLDEN, "tiny-k3")))).message).toContain("whole model");
});

test("openModelFolder: no such folder, a file, a folder of other things, one part", async () => {
  const folder = await copyGolden("tiny-k3");
  const none = await errorOf(() => openModelFolder(join(folder, "none")));
  expect([none.code, none.parts.where]).toEqual(["model_missing", join(folder, "none")]);
  expect((await errorOf(() => openModelFolder(join(folder, "model_index.json")))).parts.seen).toBe("a file");
  expect((await errorOf(() => openModelFolder(dirname(folder)))).parts.seen).toContain("copy/");
  const part = await errorOf(() => openModelFolder(join(folder, "unet")));
  expect([part.code, part.parts.hint]).toEqual(["model_missing", "name the folder above it"]);
});

test.each([
  ["StableDiffusionPipeline", "Stable Diffusion"],
  ["StableDiffusionXLImg2ImgPipeline", "Stable Diffusion XL"],
  ["FluxPipeline", "Flux"],
  ["KandinskyV22Pipeline", "Kandinsky V22"],
])("openModelFolder refuses %s by its family", async (className, family) => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "model_index.json"), JSON.stringify({ _class_name: className }));
  const error = await errorOf(() => openModelFolder(folder));
  expect(error.code).toBe("model_family");
  expect(error.parts.seen).toBe(`${className} (${family})`);
  expect(error.parts.wanted).toContain("Kandinsky 3");
});

test("openModelFolder refuses a lone transformers model by its class", async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, "config.json"), JSON.stringify({ architectures: ["LlamaForCausalLM"] }));
  const error = await errorOf(() => openModelFolder(folder));
  expect([error.code, error.parts.seen]).toEqual(["model_family", "LlamaForCausalLM, no model_index.json"]);
});

testLinks(
  "openModelFolder refuses links that leave the model: a file, a folder, a tokenizer's file",
  async () => {
    for (const name of [`unet/${UNET_FILE}`, "unet", "text_encoder/config.json"]) {
      const folder = await copyGolden("tiny-k3");
      const outside = join(dirname(folder), "outside");
      await rename(join(folder, name), outside);
      await symlink(outside, join(folder, name));
      const error = await errorOf(() => openModelFolder(folder));
      expect(error.code, name).toBe("file_escapes");
      expect([error.parts.where, error.parts.seen]).toEqual([join(folder, name), outside]);
    }
  },
);

testLinks("openModelFolder follows links inside the model, and a link to the model itself", async () => {
  const folder = await copyGolden("tiny-k3");
  await rename(join(folder, "unet", UNET_FILE), join(folder, "shared.bin"));
  await symlink("../shared.bin", join(folder, "unet", UNET_FILE));
  const link = join(dirname(folder), "link");
  await symlink(folder, link);
  const { root, parts } = await openModelFolder(link);
  expect(root).toBe(folder);
  expect(parts.unet!.tensors.get("conv_in.weight")!.file).toBe(join(folder, "shared.bin"));
});

testLinks("openModelFolder: a link that leads nowhere", async () => {
  const folder = await copyGolden("tiny-k3");
  await symlink(join(folder, "gone"), join(folder, "unet", "broken.json"));
  const error = await errorOf(() => openModelFolder(folder));
  expect([error.code, error.parts.where]).toEqual(["file_missing", join(folder, "unet", "broken.json")]);
});

/** A hub cache with one snapshot of tiny-k3, whose U-Net weights are a link to `blob`. */
async function hubCache(blob: (repository: string) => string) {
  const repository = join(await temporaryFolder(), "models--org--name");
  const snapshot = await copyGolden("tiny-k3", join(repository, "snapshots", "0123abcd"));
  const target = blob(repository);
  await mkdir(dirname(target), { recursive: true });
  const weights = join(snapshot, "unet", UNET_FILE);
  await rename(weights, target);
  await symlink(relative(dirname(weights), target), weights);
  return { snapshot, target };
}

testLinks(
  "openModelFolder and openPart follow a hub cache's links into the blobs of the same repository",
  async () => {
    const { snapshot, target } = await hubCache((repository) => join(repository, "blobs", "c0ffee"));
    const { parts } = await openModelFolder(snapshot);
    expect(parts.unet!.tensors.get("conv_in.weight")!.file).toBe(target);
    expect((await openPart(join(snapshot, "unet"))).tensors.get("conv_in.weight")!.file).toBe(target);
  },
);

testLinks(
  "openModelFolder refuses a hub cache's links into another repository or beside the blobs",
  async () => {
    for (const place of [
      "../models--org--other/blobs/c0ffee",
      "blobs-not/c0ffee",
      "snapshots/other/c0ffee",
    ]) {
      const { snapshot } = await hubCache((repository) => join(repository, place));
      expect((await errorOf(() => openModelFolder(snapshot))).code, place).toBe("file_escapes");
    }
  },
);

test("openModelFolder finds the null embedding in three places and tells where it looked", async () => {
  const folder = await copyGolden("tiny-k3");
  const places = ["", "native", "unet"].map((name) => join(folder, name, "null_embedding.safetensors"));
  const bare = await openModelFolder(folder);
  expect(bare.nullEmbedding).toBeUndefined();
  expect(bare.nullEmbeddingPlaces).toEqual(places);
  const tensors = [{ name: "null_embedding", tensor: float32([2], [1, 2]) }];
  for (const place of places) {
    await mkdir(dirname(place), { recursive: true });
    await writeSafetensors(place, tensors, {});
    expect((await openModelFolder(folder)).nullEmbedding!.file).toBe(place);
    await rm(place);
  }
  await writeSafetensors(places[0]!, [], {});
  expect((await errorOf(() => openModelFolder(folder))).code).toBe("tensor_missing");
});
