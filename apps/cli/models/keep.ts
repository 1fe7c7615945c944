import { KandinskyError } from "../../../src/base/mod.ts";
import {
  collectGarbage,
  type Damage,
  findGarbage,
  listModels,
  openStore,
  planRemoval,
  removeModel,
  repairModel,
  requireModel,
  type Store,
  type StoredModel,
  verifyModel,
} from "../../../src/store/mod.ts";
import { type Context, print } from "../context.ts";
import { formatBytes } from "../units.ts";
import { checkParts } from "./add.ts";
import type { ModelsOptions } from "./run.ts";
import { startTeller, type Teller } from "./tell.ts";

/** `kandinsky models verify`: the named models, or all. */
export async function verify(
  context: Context,
  names: readonly string[],
  { json = false }: ModelsOptions,
): Promise<void> {
  const teller = startTeller(context, json);
  const store = await openStore(context.env, { signal: context.signal, onEvent: teller.onEvent });
  try {
    const models =
      names.length === 0
        ? await listModels(store)
        : await Promise.all(names.map((name) => requireModel(store, name)));
    for (const model of models) await verifyOne(context, store, teller, model, json);
  } finally {
    teller.clear();
  }
}

async function verifyOne(context: Context, store: Store, teller: Teller, model: StoredModel, json: boolean) {
  const { text, language } = context;
  const { models: t } = text;
  const { name } = model;
  const { files, bytes, damages, problem } = await verifyModel(store, model);
  const isBroken = damages.length > 0 || problem !== undefined;
  for (const { path, kind } of damages) teller.say(t.damage(name, path, t.damages[kind]));
  if (isBroken) {
    if (store.settings.offline) throw problem ?? damaged(model, damages);
    teller.say(t.repairing(name));
    await repairModel(store, model, damages);
  }
  if (model.kind !== "file") await checkParts(model.path);
  teller.clear();
  if (json)
    print(context, JSON.stringify({ type: "verified", name, files, bytes, damages, repaired: isBroken }));
  else if (isBroken) print(context, t.repaired(name));
  else
    print(
      context,
      model.hub === undefined ? t.opens(name) : t.whole(name, files, formatBytes(bytes, language)),
    );
}

function damaged({ name }: StoredModel, damages: readonly Damage[]): KandinskyError {
  return new KandinskyError("file_corrupt", {
    what: "files of the model are damaged, and nothing may be downloaded",
    where: name,
    seen: damages.map(({ path }) => path).join(", "),
    hint: "unset HF_HUB_OFFLINE, then run the command again",
  });
}

/** `kandinsky models remove`. */
export async function remove(
  context: Context,
  [name]: readonly string[],
  { dryRun = false, json = false }: ModelsOptions,
): Promise<void> {
  const { text, language, env, signal } = context;
  const { models: t } = text;
  const store = await openStore(env, { signal });
  const model = await requireModel(store, name!);
  const removal = dryRun ? await planRemoval(store, model) : await removeModel(store, model);
  if (json) {
    print(context, JSON.stringify({ type: dryRun ? "plan" : "removed", name: model.name, ...removal }));
    return;
  }
  for (const path of removal.paths) context.stderr.write(`${path}\n`);
  if (model.hub === undefined) print(context, t.forgotten(model.name, model.path));
  else print(context, (dryRun ? t.wouldRemove : t.removed)(model.name, formatBytes(removal.bytes, language)));
}

/** `kandinsky models gc`: says what goes, and then takes it away. */
export async function gc(
  context: Context,
  _: readonly string[],
  { dryRun = false, json = false }: ModelsOptions,
): Promise<void> {
  const { text, language, env, signal } = context;
  const { models: t } = text;
  const store = await openStore(env, { signal });
  const rubbish = await findGarbage(store);
  const bytes = rubbish.reduce((sum, file) => sum + file.bytes, 0);
  if (!json) {
    for (const file of rubbish) {
      context.stderr.write(`${t.rubbish[file.kind]}, ${formatBytes(file.bytes, language)}: ${file.path}\n`);
    }
  }
  if (!dryRun) await collectGarbage(store, rubbish);
  if (json) print(context, JSON.stringify({ type: dryRun ? "plan" : "collected", bytes, files: rubbish }));
  else print(context, (dryRun ? t.wouldCollect : t.collected)(rubbish.length, formatBytes(bytes, language)));
}
