import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { openModelFolder } from "../checkpoint/mod.ts";
import { addLocal, addPlanned, planAdd } from "./add.node.ts";
import { PARTIAL_ENDING } from "./cache.node.ts";
import { collectGarbage, findGarbage, planRemoval, removeModel } from "./clean.node.ts";
import { findModel, listModels, modelPath, requireModel, resolveModel } from "./models.node.ts";
import { changeRegistry } from "./registry.node.ts";
import {
  COMMIT,
  copyTiny,
  errorOf,
  REPOSITORY,
  startHub,
  storeFor,
  temporaryFolder,
} from "./test-support.ts";
import { repairModel, verifyModel } from "./verify.node.ts";
import { openStore, type Store } from "./world.node.ts";

const UNET = "unet/diffusion_pytorch_model.fp16.safetensors";
const add = async (store: Store, request = {}) =>
  addPlanned(store, await planAdd(store, { repository: REPOSITORY, ...request }));

async function filled() {
  const hub = await startHub();
  const store = await storeFor(hub);
  const model = await add(store);
  return { hub, store, model, repository: join(model.path, "../..") };
}

test("verifyModel names what is missing, cut or changed, and repairModel fetches just that", async () => {
  const { hub, store, model } = await filled();
  const change = (path: string, edit: (bytes: Buffer) => Buffer) => {
    const bytes = edit(readFileSync(join(model.path, path)));
    writeFileSync(join(model.path, path), bytes);
  };
  change(UNET, (bytes) => {
    bytes[70_000]! ^= 1;
    return bytes;
  });
  change("tokenizer/spiece.model", (bytes) => bytes.subarray(1));
  unlinkSync(join(model.path, "unet/config.json"));
  const { damages } = await verifyModel(store, model);
  expect(damages).toEqual([
    { path: "tokenizer/spiece.model", kind: "size" },
    { path: "unet/config.json", kind: "missing" },
    { path: UNET, kind: "hash" },
  ]);
  const before = hub.sent();
  const repaired = await repairModel(store, model, damages);
  const needed = ["tokenizer/spiece.model", UNET].reduce((sum, path) => sum + hub.files.get(path)!.length, 0);
  expect(hub.sent() - before - hub.files.get("model_index.json")!.length).toBe(needed);
  expect((await verifyModel(store, repaired)).damages).toEqual([]);
  expect(repaired.hub).toEqual(model.hub);
});

test("repairModel takes nothing away while the hub cannot be reached", async () => {
  const { hub, store, model } = await filled();
  writeFileSync(join(model.path, "unet/config.json"), "{}");
  const { damages } = await verifyModel(store, model);
  hub.mischief = () => ({ status: 500 });
  expect((await errorOf(() => repairModel(store, model, damages))).code).toBe("source_unreachable");
  expect(readFileSync(join(model.path, "unet/config.json"), "utf8")).toBe("{}");
});

test("verifyModel and repairModel complete what another program fetched only in part", async () => {
  const { hub, store, repository } = await filled();
  rmSync(store.settings.data, { recursive: true });
  rmSync(join(repository, "snapshots", COMMIT, "movq"), { recursive: true });
  const [model] = await listModels(store);
  expect(model).toMatchObject({ registered: false, state: "incomplete" });
  expect((await errorOf(() => resolveModel(store, "kandinsky-3"))).parts.hint).toContain(
    `models add ${REPOSITORY}`,
  );
  const before = hub.sent();
  const whole = await repairModel(store, model!, (await verifyModel(store, model!)).damages);
  expect(whole.state).toBe("ready");
  expect(hub.sent() - before).toBeLessThan(1000);
});

test("modelPath takes paths that are there, and names of the environment's store", async () => {
  const folder = await temporaryFolder();
  const env = { KANDINSKY_HOME: join(folder, "data"), HF_HOME: join(folder, "hf") };
  const tiny = await copyTiny(folder);
  await addLocal(await openStore(env), tiny, "mine");
  expect(await modelPath("mine", env)).toBe(tiny);
  expect(await modelPath(tiny, env)).toBe(tiny);
  expect((await errorOf(() => modelPath("unknown", env))).code).toBe("model_missing");
});

test("resolveModel knows models by full name, last word and given name, and leaves paths alone", async () => {
  const { store, model } = await filled();
  const tiny = await copyTiny(await temporaryFolder());
  await addLocal(store, tiny, "mine");
  expect(await resolveModel(store, REPOSITORY)).toBe(model.path);
  expect(await resolveModel(store, "kandinsky-3")).toBe(model.path);
  expect(await resolveModel(store, "mine")).toBe(tiny);
  for (const path of ["./mine", "../x", "/a/b", "a/b/c", "style.safetensors"])
    expect(await resolveModel(store, path)).toBe(path);
  renameSync(tiny, `${tiny}-away`);
  expect((await errorOf(() => resolveModel(store, "mine"))).parts).toMatchObject({
    where: tiny,
    hint: expect.stringContaining("models remove mine"),
  });
  await changeRegistry(store.settings.data, (models) => [
    ...models,
    { ...models[0]!, name: "other/kandinsky-3" },
  ]);
  expect((await errorOf(() => resolveModel(store, "kandinsky-3"))).parts.seen).toBe(
    `${REPOSITORY}, other/kandinsky-3`,
  );
});

test("requireModel says how to add what is not there", async () => {
  const store = await storeFor(await startHub());
  const hintOf = async (word: string) => (await errorOf(() => requireModel(store, word))).parts.hint;
  expect(await hintOf("kandinsky-3")).toContain("kandinsky models add kandinsky-community/kandinsky-3");
  expect(await hintOf("some/model")).toContain("kandinsky models add some/model");
  expect(await hintOf("whatever")).toContain("kandinsky models list");
  await addLocal(store, await copyTiny(await temporaryFolder()), undefined);
  expect(await hintOf("tinny")).toBe("did you mean tiny?");
});

test("listModels finds models in a cache whose contents are shared between repositories, and opens them", async () => {
  const { hub, store, model, repository } = await filled();
  rmSync(store.settings.data, { recursive: true });
  // As newer Python clients do: the content lies in the blobs of the whole cache.
  const oid = readdirSync(join(repository, "blobs")).find((name) => name.length === 64)!;
  const shared = join(store.settings.cache, "blobs", oid.slice(0, 2));
  mkdirSync(shared, { recursive: true });
  renameSync(join(repository, "blobs", oid), join(shared, oid));
  symlinkSync(`../../blobs/${oid.slice(0, 2)}/${oid}`, join(repository, "blobs", oid));
  expect(await findModel(store, REPOSITORY)).toMatchObject({ state: "ready", path: model.path });
  expect(Object.keys((await openModelFolder(model.path)).parts)).toHaveLength(5);
  const before = hub.sent();
  await add(store);
  expect(hub.sent() - before).toBe(hub.files.get("model_index.json")!.length);
  expect((await verifyModel(store, (await findModel(store, REPOSITORY))!)).damages).toEqual([]);
});

test("planAdd does not take a link that leaves the cache for content", async () => {
  const { store, repository } = await filled();
  const oid = readdirSync(join(repository, "blobs")).find((name) => name.length === 64)!;
  const outside = join(await temporaryFolder(), "secret");
  renameSync(join(repository, "blobs", oid), outside);
  symlinkSync(outside, join(repository, "blobs", oid));
  const size = readFileSync(outside).length;
  expect((await planAdd(store, { repository: REPOSITORY })).missingBytes).toBe(size);
  const model = await add(store);
  expect((await verifyModel(store, model)).damages).toEqual([]);
  expect(readFileSync(outside).length).toBe(size);
});

test("removeModel takes a hub model's files and leaves local ones and what other revisions need", async () => {
  const { hub, store, repository } = await filled();
  hub.commit = "f".repeat(40);
  hub.files.set("README.md", Buffer.from("---\nlicense: mit\n---\n"));
  const second = await add(store, { revision: "v1", name: "second" });
  await changeRegistry(store.settings.data, (models) => models);
  const first = (await findModel(store, REPOSITORY))!;
  const planned = await planRemoval(store, first);
  expect(existsSync(first.path)).toBe(true);
  expect(await removeModel(store, first)).toEqual(planned);
  expect(existsSync(first.path)).toBe(false);
  expect(readdirSync(join(repository, "refs"))).toEqual(["v1"]);
  expect((await verifyModel(store, second)).damages).toEqual([]);
  await removeModel(store, second);
  expect(existsSync(repository)).toBe(false);
  const tiny = await copyTiny(await temporaryFolder());
  expect(await removeModel(store, await addLocal(store, tiny, "mine"))).toEqual({ paths: [], bytes: 0 });
  expect(existsSync(join(tiny, "model_index.json"))).toBe(true);
  expect(await listModels(store)).toEqual([]);
});

test("findGarbage finds partial files and contents that nothing uses; collectGarbage takes only those", async () => {
  const { store, model, repository } = await filled();
  const blobs = join(repository, "blobs");
  const old = new Date(Date.now() - 2 * 60 * 60 * 1000);
  const put = (path: string, isOld: boolean) => {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "rubbish");
    if (isOld) utimesSync(path, old, old);
    return path;
  };
  const partial = put(join(blobs, `${"1".repeat(64)}${PARTIAL_ENDING}`), false);
  const theirs = put(join(blobs, `${"2".repeat(64)}.incomplete`), true);
  const lost = put(join(blobs, "3".repeat(64)), true);
  // Another program may be at work on these.
  put(join(blobs, `${"4".repeat(64)}.incomplete`), false);
  put(join(blobs, "5".repeat(64)), false);
  // Another program's model.
  put(join(store.settings.cache, "models--some--llm/blobs", "6".repeat(64)), true);
  put(join(store.settings.cache, "models--some--llm/blobs", `${"7".repeat(64)}.incomplete`), true);
  const found = await findGarbage(store);
  expect(found.map(({ path, kind }) => [path, kind])).toEqual([
    [partial, "partial"],
    [theirs, "partial"],
    [lost, "unreferenced"],
  ]);
  const before = readdirSync(blobs).length;
  await collectGarbage(store, found);
  expect(readdirSync(blobs).length).toBe(before - 3);
  expect(await findGarbage(store)).toEqual([]);
  expect((await verifyModel(store, model)).damages).toEqual([]);
});

test("withLock keeps a second process off a model, and the lock of a dead one does not count", async () => {
  const { store, model } = await filled();
  const lock = join(store.settings.cache, ".locks/models--kandinsky-community--kandinsky-3/kandinsky.lock");
  expect(existsSync(lock)).toBe(false);
  writeFileSync(lock, `${process.pid} ${hostname()}`);
  for (const work of [
    () => add(store),
    () => removeModel(store, model),
    () => repairModel(store, model, []),
  ]) {
    const error = await errorOf(work);
    expect([error.code, error.parts.where]).toEqual(["store_busy", lock]);
  }
  writeFileSync(lock, `${2 ** 22 + 1} ${hostname()}`);
  await add(store);
  writeFileSync(lock, "");
  utimesSync(lock, new Date(0), new Date(0));
  await add(store);
  writeFileSync(lock, `1 another-machine`);
  expect((await errorOf(() => add(store))).code).toBe("store_busy");
});

test("changeRegistry loses nothing of several at once, and a damaged list is told", async () => {
  const store = await storeFor(await startHub());
  const { data } = store.settings;
  const entry = (name: string) => ({
    kind: "folder" as const,
    name,
    path: `/${name}`,
    source: "",
    added: "",
    licence: { name: "mit" },
  });
  const names = Array.from({ length: 12 }, (_, i) => `model-${i + 10}`);
  await Promise.all(names.map((name) => changeRegistry(data, (models) => [...models, entry(name)])));
  expect((await listModels(store)).map(({ name }) => name)).toEqual(names);
  expect(readdirSync(data)).toEqual(["models.json"]);
  for (const text of [
    "",
    "{",
    "[]",
    '{"kandinskyModels": 2, "models": []}',
    '{"kandinskyModels": 1, "models": [{"kind": "x"}]}',
  ]) {
    writeFileSync(join(data, "models.json"), text);
    expect((await errorOf(() => listModels(store))).code, text).toBe("file_corrupt");
  }
});
