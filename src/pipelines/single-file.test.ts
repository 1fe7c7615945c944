import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { writeSafetensors } from "../checkpoint/mod.ts";
import { zeros } from "../tensor/mod.ts";
import { openModel } from "./model.node.ts";

test("openModel says of a checkpoint in one file what it is, and what to do", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kandinsky-single-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const file = async (name: string, shape: readonly number[]) => {
    const tensors = [{ name: "in_layer.weight", tensor: zeros("float32", shape) }];
    await writeSafetensors(join(folder, name), tensors, {});
    return join(folder, name);
  };
  await expect(openModel(await file("sr.safetensors", [128, 6, 3, 3]))).rejects.toMatchObject({
    code: "model_family",
    parts: { seen: "a KandiSuperRes checkpoint", hint: expect.stringContaining("leave --model out") },
  });
  await expect(openModel(await file("unet.safetensors", [384, 4, 3, 3]))).rejects.toMatchObject({
    code: "model_family",
    parts: { seen: "a checkpoint in one file", hint: expect.stringContaining("kandinsky convert") },
  });
  writeFileSync(join(folder, "sr.pt"), "no checkpoint");
  await expect(openModel(join(folder, "sr.pt"))).rejects.toMatchObject({ code: "file_corrupt" });
  await expect(openModel(join(folder, "none"))).rejects.toMatchObject({ code: "model_missing" });
});
