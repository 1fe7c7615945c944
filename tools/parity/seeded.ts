import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { KandinskyError } from "../../src/base/mod.ts";
import { type Job, Kandinsky3 } from "../../src/pipelines/mod.ts";
import type { Context } from "./context.ts";
import { readJsonAs } from "./folder.ts";
import { comparePicture } from "./pictures.ts";
import { modelOf, PIPELINES_INDEX, pipelineIndex } from "./pipelines.ts";

export const SEEDED_FILE = "seeded/seeded.json";

const schema = z.object({
  model: z.string().optional(),
  rows: z.array(
    z.object({
      steps: z.int(),
      guidance: z.number(),
      height: z.int(),
      width: z.int(),
      prompt: z.string(),
      negative: z.string().nullish(),
      seed: z.int(),
      batch: z.int(),
      index: z.int(),
      file: z.string(),
    }),
  ),
});

type Row = z.infer<typeof schema>["rows"][number];

/** At most two steps of 8 bits anywhere; the mean can then not be more. */
const TOLERANCE = { name: "seeded", largest: 2, mean: 2 };

/** Pictures from seeds alone, drawn by the product as a user would ask for them. */
export async function seeded(context: Context): Promise<void> {
  const about = await readJsonAs(context.folder, SEEDED_FILE, schema);
  const path = about.model ?? (await modelBeside(context.folder));
  await using model = await Kandinsky3.load({ model: join(context.folder, path), cache: false });
  for (const rows of batchesOf(about.rows)) {
    let drawn = 0;
    for await (const event of model.generate(await jobOf(model, rows))) {
      if (event.type !== "picture") continue;
      const { file } = rows[event.job.index]!;
      await comparePicture(context, `seeded/${file}`, event.picture, TOLERANCE);
      drawn++;
    }
    if (drawn !== rows.length) context.report.fail(SEEDED_FILE, `${drawn} pictures of ${rows.length}`);
  }
}

/** Rows that were drawn together: each batch begins with index 0. */
function batchesOf(rows: readonly Row[]): Row[][] {
  const batches: Row[][] = [];
  for (const row of rows) {
    if (row.index === 0) batches.push([]);
    batches.at(-1)?.push(row);
  }
  const short = batches.find((batch) => batch.some(({ batch: size }) => size !== batch.length));
  if (short === undefined) return batches;
  throw new KandinskyError("file_corrupt", {
    what: "a batch is not whole",
    where: `${SEEDED_FILE}, ${short[0]!.file}`,
    seen: `${short.length} rows`,
    wanted: `${short[0]!.batch}`,
  });
}

async function jobOf(model: Kandinsky3, rows: readonly Row[]): Promise<Job> {
  const { steps, guidance, width, height } = rows[0]!;
  const job = await model.resolve({
    prompt: rows.map(({ prompt }) => prompt),
    seed: rows.map(({ seed }) => seed),
    steps,
    guidance,
    width: made(width, model.info.cell),
    height: made(height, model.info.cell),
    profile: "diffusers",
    sampler: "ddpm",
    rng: "torch",
    batchText: "joint",
  });
  const pictures = job.pictures.map((picture, k) => ({
    ...picture,
    negative: rows[k]!.negative ?? undefined,
  }));
  return { ...job, pictures };
}

/** diffusers rounds up to 64 pixels and takes every MoVQ for one of 8 pixels a cell. */
function made(side: number, cell: number): number {
  return Math.ceil(side / 64) * 8 * cell;
}

/** The model of pictures that name none: the folder itself, the one of the pipelines, or the only one there is. */
async function modelBeside(folder: string): Promise<string> {
  if (existsSync(join(folder, "model_index.json"))) return ".";
  if (existsSync(join(folder, PIPELINES_INDEX))) {
    const cases = Object.values(await pipelineIndex(folder));
    const first = cases.find(({ kind }) => kind.startsWith("text-to-image"));
    if (first !== undefined) return modelOf(first);
  }
  const names = (await readdir(folder)).filter((name) => existsSync(join(folder, name, "model_index.json")));
  if (names.length === 1) return names[0]!;
  throw new KandinskyError("model_missing", {
    what: "cannot tell which model drew the pictures",
    where: SEEDED_FILE,
    seen: names.join(", ") || "no model",
    wanted: "one model, or its name under `model`",
  });
}
