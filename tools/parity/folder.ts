import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { KandinskyError } from "../../src/base/mod.ts";

const row = z
  .tuple([z.enum(["input", "expected"]), z.string(), z.union([z.array(z.number()), z.string()])])
  .rest(z.string());

const schema = z.object({
  tolerance: z.object({
    classes: z.record(z.string(), z.object({ abs: z.number(), rel: z.number() })),
  }),
  fixtures: z.array(
    z.object({ file: z.string(), model: z.string().nullish(), tensors: z.record(z.string(), row) }),
  ),
});

/** What a folder says of its tensors and tolerances. */
export type Manifest = z.infer<typeof schema>;
export type ManifestFixture = Manifest["fixtures"][number];

/** The folder's manifest; a folder of a model alone has none. */
export async function readManifest(folder: string): Promise<Manifest> {
  if (!existsSync(join(folder, "manifest.json"))) return { tolerance: { classes: {} }, fixtures: [] };
  return readJsonAs(folder, "manifest.json", schema);
}

/** A JSON file of the folder. @throws KandinskyError `file_corrupt` naming the file and the first field that does not fit */
export async function readJsonAs<T>(folder: string, file: string, wanted: z.ZodType<T>): Promise<T> {
  return parseAs(await readFile(join(folder, file), "utf8"), file, wanted);
}

/** As `readJsonAs`, of a text. */
export function parseAs<T>(text: string, file: string, wanted: z.ZodType<T>): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new KandinskyError(
      "file_corrupt",
      { what: "cannot read", where: file, seen: (cause as Error).message },
      { cause },
    );
  }
  const result = wanted.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const where = [file, ...issue.path].join(" / ");
  throw new KandinskyError("file_corrupt", { what: "cannot use the case", where, seen: issue.message });
}

const DATA = /\.(safetensors|json|png)$/;
const MODEL_FILES = ["model_index.json", "config.json", "scheduler_config.json", "tokenizer_config.json"];

/**
 * Data files of the folder, by paths relative to it with "/". Models and their parts are left out, as are files whose
 * names begin with a period; a folder that is itself a model has its `seeded/` only.
 */
export async function listData(folder: string): Promise<string[]> {
  if (existsSync(join(folder, "model_index.json"))) {
    return existsSync(join(folder, "seeded")) ? walk(folder, "seeded") : [];
  }
  return walk(folder, "");
}

async function walk(folder: string, below: string): Promise<string[]> {
  const items = await readdir(join(folder, below), { withFileTypes: true });
  if (items.some(({ name }) => MODEL_FILES.includes(name))) return [];
  const found: string[] = [];
  for (const item of items.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = below === "" ? item.name : `${below}/${item.name}`;
    if (item.name.startsWith(".")) continue;
    if (item.isDirectory()) found.push(...(await walk(folder, path)));
    else if (DATA.test(item.name)) found.push(path);
  }
  return found;
}
