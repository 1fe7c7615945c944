import { stat } from "node:fs/promises";
import { KandinskyError } from "../../../src/base/mod.ts";
import { Kandinsky3 } from "../../../src/pipelines/mod.ts";
import {
  type AddPlan,
  addLocal,
  addPlanned,
  openStore,
  planAdd,
  type StoredModel,
} from "../../../src/store/mod.ts";
import { type Context, print } from "../context.ts";
import { formatBytes } from "../units.ts";
import { licenceLine } from "./look.ts";
import type { ModelsOptions } from "./run.ts";
import { startTeller } from "./tell.ts";

/** `kandinsky models add`. */
export async function add(
  context: Context,
  [source]: readonly string[],
  options: ModelsOptions,
): Promise<void> {
  const { json = false } = options;
  const isHere = (await stat(source!).catch(() => undefined)) !== undefined;
  const model = await (isHere ? addHere(context, source!, options) : addFromHub(context, source!, options));
  if (model === undefined) return;
  if (json) print(context, JSON.stringify({ type: "added", ...model }));
  else print(context, context.text.models.added(model.name, model.path));
}

async function addHere(context: Context, path: string, options: ModelsOptions): Promise<StoredModel> {
  const { revision, variant, dryRun, name, json = false } = options;
  const stray = Object.entries({ revision, variant, "dry-run": dryRun }).find(
    ([, value]) => value !== undefined,
  );
  if (stray !== undefined) {
    throw new KandinskyError("option_invalid", {
      what: "a folder or file on this machine is registered as it is",
      where: `--${stray[0]}`,
      hint: "leave it out",
    });
  }
  const { env, signal, text } = context;
  if ((await stat(path)).isDirectory()) await checkParts(path);
  const model = await addLocal(await openStore(env, { signal }), path, name);
  if (!json) context.stderr.write(`${licenceLine(text, model.licence)}\n`);
  return model;
}

/** That the parts of a folder are what they are called and fit each other shows only when they are bound. */
export async function checkParts(folder: string): Promise<void> {
  await (await Kandinsky3.load({ model: folder })).dispose();
}

/** Undefined where it was only to be told what would be done. */
async function addFromHub(
  context: Context,
  repository: string,
  { revision, variant, name, dryRun = false, json = false }: ModelsOptions,
): Promise<StoredModel | undefined> {
  const { env, signal } = context;
  const teller = startTeller(context, json);
  const store = await openStore(env, { signal, onEvent: teller.onEvent });
  try {
    const plan = await planAdd(store, { repository, revision, variant, name });
    if (json) print(context, JSON.stringify({ type: "plan", ...plan }));
    else for (const line of describePlan(context, plan)) teller.say(line);
    if (dryRun) return undefined;
    const model = await addPlanned(store, plan);
    await checkParts(model.path);
    return model;
  } finally {
    teller.clear();
  }
}

function describePlan({ text, language }: Context, plan: AddPlan): string[] {
  const { models: t } = text;
  const bytes = (count: number) => formatBytes(count, language);
  const { revision, commit, variants, licence, source, files, freeBytes, missingBytes } = plan;
  const all = [...new Set(Object.values(variants))];
  const weights =
    all.length === 1
      ? all[0]!
      : Object.entries(variants)
          .map(([part, variant]) => `${part} ${variant}`)
          .join(", ");
  return [
    t.source(source, revision, commit.slice(0, 12)),
    licenceLine(text, licence),
    t.amount(files.length, bytes(plan.bytes), weights),
    missingBytes === 0 ? t.allHere : t.toFetch(bytes(missingBytes), bytes(freeBytes)),
  ];
}
