import {
  type Licence,
  listModels,
  openStore,
  requireModel,
  type StoredModel,
} from "../../../src/store/mod.ts";
import { type Context, print } from "../context.ts";
import type { Messages } from "../messages/mod.ts";
import { formatTable } from "../table.ts";
import { formatBytes } from "../units.ts";
import type { ModelsOptions } from "./run.ts";

/** `kandinsky models list`. */
export async function list(context: Context, _: readonly string[], { json }: ModelsOptions): Promise<void> {
  const { text, language, env, signal } = context;
  const { models: t } = text;
  const models = await listModels(await openStore(env, { signal }));
  if (json) {
    print(context, JSON.stringify(models, undefined, 2));
    return;
  }
  if (models.length === 0) {
    context.stderr.write(`${t.none}\n`);
    return;
  }
  const { columns: c } = t;
  const rows = models.map((model) => [
    model.name,
    formatBytes(model.bytes, language),
    stateOf(text, model),
    licenceName(text, model.licence),
    model.source,
  ]);
  for (const line of formatTable([[c.name, c.size, c.state, c.licence, c.source], ...rows], [1]))
    print(context, line);
}

/** `kandinsky models info`. */
export async function info(
  context: Context,
  [name]: readonly string[],
  { json }: ModelsOptions,
): Promise<void> {
  const { text, language, env, signal } = context;
  const model = await requireModel(await openStore(env, { signal }), name!);
  if (json) {
    print(context, JSON.stringify(model, undefined, 2));
    return;
  }
  const { columns: c } = text.models;
  const { hub, licence, added } = model;
  const rows: (readonly [string, string | undefined])[] = [
    [c.name, model.name],
    [c.state, stateOf(text, model)],
    [c.licence, [licenceName(text, licence), licence.link].filter((part) => part !== undefined).join(", ")],
    [c.source, model.source],
    [c.revision, hub && (hub.revision === hub.commit ? hub.commit : `${hub.revision}, ${hub.commit}`)],
    [c.variant, hub?.variant],
    [c.size, formatBytes(model.bytes, language)],
    [c.files, hub?.files === undefined ? undefined : `${hub.files.length}`],
    [c.added, added],
    [c.path, model.path],
  ];
  const known = rows.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]]));
  for (const line of formatTable(known, [])) print(context, line);
}

function stateOf({ models: t }: Messages, { state, registered }: StoredModel): string {
  return state === "ready" && !registered ? t.states.found : t.states[state];
}

function licenceName({ models: t }: Messages, { name }: Licence): string {
  return name === "not stated" ? t.unstated : name;
}

/** The terms of a model, for people. */
export function licenceLine(text: Messages, licence: Licence): string {
  return text.models.licence(licenceName(text, licence), licence.link ?? "");
}
