import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { KandinskyError } from "../base/mod.ts";
import { withLock } from "./lock.node.ts";
import { isAbsent, writeWhole } from "./whole.node.ts";

const FORMAT = 1;
const FILE = "models.json";
/** Another process needs this long at most to change the list. */
const LOCK_PATIENCE = 5000;

const common = {
  name: z.string(),
  licence: z.object({ name: z.string(), link: z.string().optional() }),
  /** Where the model came from: an address, or a path. */
  source: z.string(),
  /** When it was added, ISO 8601. */
  added: z.string(),
};
const hash = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/);

const entrySchema = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("hub"),
    ...common,
    repository: z.string(),
    revision: z.string(),
    commit: z.string().regex(/^[0-9a-f]{40}$/),
    /** Which weights were asked for; undefined: what there is. */
    variant: z.string().optional(),
    files: z.array(z.object({ path: z.string(), size: z.number().int().min(0), oid: hash })),
  }),
  /** A folder or a file in its own place. */
  z.object({ kind: z.literal("folder"), ...common, path: z.string() }),
  z.object({ kind: z.literal("file"), ...common, path: z.string() }),
]);

const listSchema = z.object({ kandinskyModels: z.literal(FORMAT), models: z.array(entrySchema) });

/** A model of the list. Hub models lie in the hub cache, others where the user has them. */
export type ModelEntry = z.output<typeof entrySchema>;
export type HubEntry = Extract<ModelEntry, { kind: "hub" }>;
export type LocalEntry = Exclude<ModelEntry, { kind: "hub" }>;

/** The models that were added; none where nothing was. Throws `file_corrupt`. */
export async function readRegistry(data: string): Promise<readonly ModelEntry[]> {
  const path = join(data, FILE);
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    if (isAbsent(cause)) return undefined;
    throw unreadable(path, cause);
  });
  if (text === undefined) return [];
  try {
    return listSchema.parse(JSON.parse(text)).models;
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

/** Replaces the list by what `change` makes of it; one process at a time. */
export async function changeRegistry(
  data: string,
  change: (models: readonly ModelEntry[]) => readonly ModelEntry[],
): Promise<void> {
  const path = join(data, FILE);
  await withLock(`${path}.lock`, LOCK_PATIENCE, async () => {
    const models = [...change(await readRegistry(data))].sort((a, b) => (a.name < b.name ? -1 : 1));
    await writeWhole(path, `${JSON.stringify({ kandinskyModels: FORMAT, models }, undefined, 2)}\n`);
  });
}

function unreadable(path: string, cause: unknown): KandinskyError {
  return new KandinskyError(
    "file_corrupt",
    {
      what: "cannot read the list of models",
      where: path,
      hint: "rename the file; models in the hub cache are found without it, others are to be added again",
    },
    { cause },
  );
}
