import { join } from "node:path";
import { z } from "zod";
import { mergedTensors } from "../../src/adapters/mod.ts";
import { KandinskyError } from "../../src/base/mod.ts";
import type { StreamedTensor } from "../../src/checkpoint/mod.ts";
import { withLoras } from "../../src/pipelines/mod.ts";
import { type Tensor, tensor } from "../../src/tensor/mod.ts";
import type { Context } from "./context.ts";
import { readJsonAs } from "./folder.ts";
import { reasonOf } from "./report.ts";
import { openBasePass, predict, UNET_FILE } from "./unet.ts";

export const LORA_FILE = "lora/expected.safetensors";

const schema = z.object({
  files: z.record(z.string(), z.object({ expect: z.enum(["accept", "error"]), why: z.string().optional() })),
});

/** Outputs under adapters in every naming, a merged weight, and files that must be refused. */
export async function lora(context: Context): Promise<void> {
  const fixture = context.fixture(LORA_FILE);
  const inputs = context.fixture(UNET_FILE);
  if (fixture === undefined) return;
  if (inputs === undefined) {
    context.report.fail(LORA_FILE, `its inputs, ${UNET_FILE}, are absent`);
    return;
  }
  const pass = await openBasePass(context, inputs);
  const { files } = await readJsonAs(context.folder, "lora/expected.json", schema);
  const names = fixture.left();
  const adapted = async (file: string, weight: number) =>
    (await withLoras(pass.model, [{ file: join(context.folder, "lora", file), weight }])).unet;
  fixture.expect("output_no_adapter", await predict(context, pass));
  for (const [file, { expect, why }] of Object.entries(files)) {
    if (expect === "error") {
      await refuse(context, `lora/${file}`, why, () => adapted(file, 1));
      continue;
    }
    context.report.note(`with lora/${file}:`);
    for (const name of names) {
      const scale = /^output_scale_([\d.]+)$/.exec(name)?.[1];
      if (scale !== undefined) {
        fixture.expect(name, await predict(context, { ...pass, model: await adapted(file, Number(scale)) }));
      }
      const merged = /^merged\/(.+)$/.exec(name)?.[1];
      if (merged !== undefined) {
        const { part } = await adapted(file, 1);
        const written = mergedTensors(part.entries, part.adapters ?? []);
        fixture.expect(name, await collect(written.find((one) => one.name === merged)!));
      }
    }
  }
  // Off again: the base weights were never touched.
  fixture.expect("output_no_adapter", await predict(context, pass));
}

async function refuse(context: Context, file: string, why: string | undefined, open: () => Promise<unknown>) {
  try {
    await open();
    context.report.fail(file, `accepted, though ${why ?? "it must be refused"}`);
  } catch (error) {
    if (error instanceof KandinskyError && error.fault === "user") context.report.note(`refused: ${file}`);
    else context.report.fail(file, reasonOf(error));
  }
}

/** The one piece that a small float32 tensor is written in. */
async function collect({ shape, values }: StreamedTensor): Promise<Tensor> {
  for await (const piece of values()) return tensor("float32", shape, piece as Float32Array);
  return tensor("float32", shape, new Float32Array());
}
