import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openModelFolder } from "../checkpoint/mod.ts";
import { addLocal, addPlanned, planAdd } from "./add.node.ts";
import { listModels } from "./models.node.ts";
import {
  COMMIT,
  copyTiny,
  errorOf,
  oidOf,
  REPOSITORY,
  startHub,
  storeFor,
  TINY,
  TOKEN,
  temporaryFolder,
} from "./test-support.ts";
import { verifyModel } from "./verify.node.ts";
import type { Store } from "./world.node.ts";

const add = async (store: Store, request = {}) =>
  addPlanned(store, await planAdd(store, { repository: REPOSITORY, ...request }));

test("addPlanned lays a model out as Python's client does, fetching nothing that the folder does not need", async () => {
  const hub = await startHub();
  const store = await storeFor(hub);
  const model = await add(store);
  const folder = join(store.settings.cache, "models--kandinsky-community--kandinsky-3");
  expect(model).toMatchObject({
    name: REPOSITORY,
    state: "ready",
    licence: { name: "apache-2.0" },
    source: `${hub.endpoint}/${REPOSITORY}`,
  });
  expect(model.path).toBe(join(folder, "snapshots", COMMIT));
  expect(readFileSync(join(folder, "refs", "main"), "utf8")).toBe(COMMIT);
  const wanted = [...hub.files.keys()].filter((path) => !/\.bin$|^\.|^docs/.test(path));
  const blobs = new Set(wanted.map((path) => oidOf(hub.files.get(path)!)));
  expect(readdirSync(join(folder, "blobs")).sort()).toEqual([...blobs].sort());
  for (const path of wanted) {
    const bytes = hub.files.get(path)!;
    const up = "../".repeat(path.split("/").length + 1);
    expect(readlinkSync(join(model.path, path))).toBe(`${up}blobs/${oidOf(bytes)}`);
    expect(readFileSync(join(model.path, path)).equals(bytes), path).toBe(true);
  }
  expect(existsSync(join(model.path, "unet/diffusion_pytorch_model.bin"))).toBe(false);
  expect(Object.keys((await openModelFolder(model.path)).parts)).toHaveLength(5);
  expect((await openModelFolder(model.path)).name).toBe(REPOSITORY);
});

test("addPlanned fetches large files in parts, several at once, and tells the token to the hub only", async () => {
  const hub = await startHub();
  const store = await storeFor(hub);
  await add(store);
  const parts = hub.asked.filter(({ host, path }) => host === "files" && path.includes("movq"));
  expect(parts.length).toBeGreaterThan(20);
  expect(parts.every(({ range }) => /^bytes=\d+-\d+$/.test(range!))).toBe(true);
  expect(
    hub.asked.filter(({ host }) => host === "files").map(({ authorization }) => authorization),
  ).not.toContain(`Bearer ${TOKEN}`);
  expect(
    new Set(hub.asked.filter(({ host }) => host === "hub").map(({ authorization }) => authorization)),
  ).toEqual(new Set([`Bearer ${TOKEN}`]));
  const last = store.events.filter((event) => event.type === "bytes").at(-1);
  expect(last).toEqual({
    type: "bytes",
    done: (await listModels(store))[0]!.bytes,
    fetched: (await listModels(store))[0]!.bytes,
    total: (await listModels(store))[0]!.bytes,
  });
});

test("addPlanned fetches nothing twice: what is there, whoever put it there, is kept", async () => {
  const hub = await startHub();
  const store = await storeFor(hub);
  await add(store);
  const before = hub.sent();
  const small = [...hub.files]
    .filter(([path]) => path === "model_index.json")
    .reduce((sum, [, bytes]) => sum + bytes.length, 0);
  await add(store);
  expect(hub.sent() - before).toBe(small);
  expect((await planAdd(store, { repository: REPOSITORY })).missingBytes).toBe(0);
});

test("planAdd writes nothing", async () => {
  const store = await storeFor(await startHub());
  const plan = await planAdd(store, { repository: REPOSITORY });
  expect(plan.missingBytes).toBe(plan.bytes);
  expect(plan.variants).toEqual({ text_encoder: "fp16", unet: "fp16", movq: "fp16" });
  expect(readdirSync(store.folder)).toEqual([]);
});

test("planAdd takes the plain weights where there are two variants, the wanted one, or the one that is there", async () => {
  const hub = await startHub();
  for (const [path, bytes] of [...hub.files]) {
    if (path.endsWith(".fp16.safetensors"))
      hub.files.set(path.replace(".fp16", ""), Buffer.concat([bytes, Buffer.alloc(1)]));
  }
  const store = await storeFor(hub);
  const variants = async (request = {}) =>
    (await planAdd(store, { repository: REPOSITORY, ...request })).variants;
  expect(await variants()).toEqual({ text_encoder: "plain", unet: "plain", movq: "plain" });
  expect(await variants({ variant: "fp16" })).toEqual({ text_encoder: "fp16", unet: "fp16", movq: "fp16" });
  await add(store, { variant: "fp16" });
  expect(await variants()).toEqual({ text_encoder: "fp16", unet: "fp16", movq: "fp16" });
  const mixed = await planAdd(store, { repository: REPOSITORY, variant: "plain" });
  expect(mixed.missingBytes).toBeGreaterThan(0);
  // With plain weights beside them, the fp16 ones would not be what is read.
  writeFileSync(join(mixed.path, "unet/diffusion_pytorch_model.safetensors"), "");
  const error = await errorOf(() => planAdd(store, { repository: REPOSITORY, variant: "fp16" }));
  expect([error.code, error.parts.where]).toEqual(["option_invalid", "--variant"]);
  expect((await errorOf(() => planAdd(store, { repository: REPOSITORY, variant: "bf16" }))).code).toBe(
    "option_invalid",
  );
  expect((await errorOf(() => planAdd(store, { repository: REPOSITORY, variant: "int8" }))).code).toBe(
    "option_unknown",
  );
});

test("addPlanned follows a revision and keeps what another revision shares", async () => {
  const hub = await startHub();
  const store = await storeFor(hub);
  await add(store);
  const before = hub.sent();
  hub.commit = "f".repeat(40);
  hub.files.set("README.md", Buffer.from("---\nlicense: other\nlicense_name: mine\n---\n"));
  const model = await add(store, { revision: "refs/pr/1" });
  expect(model.hub).toMatchObject({ revision: "refs/pr/1", commit: "f".repeat(40) });
  expect(hub.sent() - before).toBeLessThan(2000);
  const folder = join(store.settings.cache, "models--kandinsky-community--kandinsky-3");
  expect(readFileSync(join(folder, "refs/refs/pr/1"), "utf8")).toBe("f".repeat(40));
  expect(readdirSync(join(folder, "snapshots")).sort()).toEqual([COMMIT, "f".repeat(40)]);
});

test("planAdd with HF_HUB_OFFLINE registers what the cache has, and asks nobody", async () => {
  const hub = await startHub();
  const store = await storeFor(hub);
  const offline = { ...store, settings: { ...store.settings, offline: true } };
  const empty = await errorOf(() => planAdd(offline, { repository: REPOSITORY }));
  expect([empty.code, empty.parts.where]).toEqual(["option_invalid", "HF_HUB_OFFLINE"]);
  await add(store);
  const asked = hub.asked.length;
  const model = await add({
    ...offline,
    settings: { ...offline.settings, data: join(store.folder, "other") },
  });
  expect(model).toMatchObject({ state: "ready", licence: { name: "apache-2.0" } });
  expect(hub.asked.length).toBe(asked);
  expect((await verifyModel(offline, model)).damages).toEqual([]);
});

test("planAdd refuses before anything is fetched where the disk is too small", async () => {
  const hub = await startHub();
  const store = await storeFor(hub, { freeBytes: async () => 50e6 });
  const error = await errorOf(() => planAdd(store, { repository: REPOSITORY }));
  expect([error.code, error.parts.seen]).toEqual(["disk_full", "50 MB free"]);
  expect(readdirSync(store.folder)).toEqual([]);
});

test("addLocal registers folders and files in place, with the licence of the card beside them", async () => {
  const store = await storeFor(await startHub());
  const model = await copyTiny(await temporaryFolder());
  writeFileSync(join(model, "README.md"), '---\nlicense: "mit"\n---\n');
  const folder = await addLocal(store, model, undefined);
  expect(folder).toMatchObject({
    name: "tiny",
    kind: "folder",
    path: model,
    state: "ready",
    licence: { name: "mit" },
  });
  const path = join(TINY, "unet/diffusion_pytorch_model.safetensors");
  expect(await addLocal(store, path, "unet")).toMatchObject({
    name: "unet",
    kind: "file",
    path,
    licence: { name: "not stated" },
  });
  const taken = await errorOf(() => addLocal(store, TINY, "unet"));
  expect([taken.code, taken.parts.seen]).toEqual(["option_invalid", path]);
  expect((await listModels(store)).map(({ name }) => name)).toEqual(["tiny", "unet"]);
  expect(lstatSync(model).isDirectory()).toBe(true);
});

test("addLocal refuses what is no model, and keeps the list as it is", async () => {
  const store = await storeFor(await startHub());
  const folder = await temporaryFolder();
  mkdirSync(join(folder, "other"));
  writeFileSync(join(folder, "other", "model_index.json"), '{"_class_name": "StableDiffusionPipeline"}');
  writeFileSync(join(folder, "text.safetensors"), "no tensors");
  const codeOf = async (path: string, name?: string) =>
    (await errorOf(() => addLocal(store, join(folder, path), name))).code;
  expect(await codeOf("other")).toBe("model_family");
  expect(await codeOf("none")).toBe("file_missing");
  expect(await codeOf("text.safetensors")).toBe("file_corrupt");
  expect((await errorOf(() => addLocal(store, TINY, "../up"))).code).toBe("option_invalid");
  expect(await listModels(store)).toEqual([]);
});
