import { cpSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { EMBEDDED_MODEL, embeddedModelFor, embeddedModelNamed } from "./embedded.node.ts";
import { openModel } from "./model.node.ts";

const GOLDEN = fileURLToPath(new URL("../../../golden/", import.meta.url));

let models: string;
beforeAll(() => {
  models = mkdtempSync(join(tmpdir(), "kandinsky-models-"));
});
afterAll(() => rmSync(models, { recursive: true }));

test("embeddedModelFor takes the model for inpainting as soon as it is there, for what repaints", async () => {
  const [nano, inpainting] = [join(models, "nano"), join(models, "nano-inpaint")];
  expect(await embeddedModelFor("inpaint", models)).toBe(nano);
  // A folder that is not yet a model.
  mkdirSync(inpainting);
  expect(await embeddedModelFor("inpaint", models)).toBe(nano);
  const filter = (source: string) => basename(source) !== ".kandinsky";
  cpSync(join(GOLDEN, "tiny-k3"), inpainting, { recursive: true, filter });
  rmSync(join(inpainting, "unet"), { recursive: true });
  cpSync(join(GOLDEN, "tiny-k3-inpaint", "unet"), join(inpainting, "unet"), { recursive: true, filter });
  expect(await embeddedModelFor("inpaint", models)).toBe(inpainting);
  expect(await embeddedModelFor("extend", models)).toBe(inpainting);
  expect((await openModel(await embeddedModelFor("extend", models))).info.inpaints).toBe(true);
  for (const operation of ["generate", "edit", "panorama", "upscale"] as const)
    expect(await embeddedModelFor(operation, models)).toBe(nano);
});

test("embeddedModelNamed knows embedded models and nothing else", async () => {
  expect(await embeddedModelNamed("nano")).toBe(EMBEDDED_MODEL);
  for (const name of ["kandinsky-3", "../nano-inpaint", ""])
    expect(await embeddedModelNamed(name)).toBe(EMBEDDED_MODEL);
});
