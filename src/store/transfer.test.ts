import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import * as nodeFiles from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import type { KandinskyError } from "../base/mod.ts";
import { addPlanned, planAdd } from "./add.node.ts";
import { PARTIAL_ENDING } from "./cache.node.ts";
import { listModels } from "./models.node.ts";
import {
  type Asked,
  errorOf,
  type Mischief,
  oidOf,
  REPOSITORY,
  startHub,
  storeFor,
  type TestHub,
} from "./test-support.ts";
import { verifyModel } from "./verify.node.ts";
import type { Store } from "./world.node.ts";

const MOVQ = "movq/diffusion_pytorch_model.fp16.safetensors";
const PART = 64 * 1024;
const add = async (store: Store) => addPlanned(store, await planAdd(store, { repository: REPOSITORY }));
const isMovq = ({ host, path }: Asked) => host === "files" && path.includes("movq");
const blobsOf = (store: Store) =>
  join(store.settings.cache, "models--kandinsky-community--kandinsky-3", "blobs");

/** Adds with a hub that misbehaves, and tells the error. The store must stay whole: the next try succeeds. */
async function addBadly(mischief: TestHub["mischief"], world: Partial<Store> = {}): Promise<KandinskyError> {
  const hub = await startHub();
  const store = await storeFor(hub, world);
  hub.mischief = mischief;
  const error = await errorOf(() => add(store));
  hub.mischief = () => undefined;
  const model = await add(store);
  expect((await verifyModel(store, model)).damages).toEqual([]);
  expect(readdirSync(blobsOf(store)).filter((name) => name.endsWith("incomplete"))).toEqual([]);
  return error;
}

async function addWith(mischief: TestHub["mischief"], world: Partial<Store> = {}) {
  const hub = await startHub();
  const store = await storeFor(hub, world);
  hub.mischief = mischief;
  const model = await add(store);
  expect((await verifyModel(store, model)).damages).toEqual([]);
  return { hub, store, model };
}

test("fetchFiles goes on where a connection was cut", async () => {
  const { hub, model } = await addWith((asked, count) =>
    isMovq(asked) && count === 1 && asked.range === `bytes=0-${PART - 1}` ? { cutAfter: 40_000 } : undefined,
  );
  const again = hub.asked.filter((asked) => isMovq(asked) && asked.range?.endsWith(`-${PART - 1}`));
  expect(again).toHaveLength(2);
  expect(Number(/\d+/.exec(again[1]!.range!)![0])).toBeGreaterThan(0);
  // What is read while planning is read once more.
  expect(hub.sent()).toBeLessThanOrEqual(model.bytes + 1000);
});

test("fetchFiles goes on in another run where the first was stopped", async () => {
  const hub = await startHub();
  const controller = new AbortController();
  const store = await storeFor(hub, { signal: controller.signal });
  hub.slowness = 2;
  const half = 2_000_000;
  const stopping = {
    ...store,
    onEvent: (event: { type: string; done?: number }) =>
      event.type === "bytes" && event.done! > half && controller.abort(),
  } as Store;
  const error = await errorOf(() => add(stopping));
  expect(error.code).toBe("cancelled");
  const [model] = await listModels(store);
  expect(model).toMatchObject({ name: REPOSITORY, state: "incomplete" });
  const before = hub.sent();
  hub.slowness = 0;
  const whole = await add({ ...store, signal: new AbortController().signal });
  const rest = hub.sent() - before;
  expect(rest, `${rest} of ${whole.bytes} bytes`).toBeLessThan(whole.bytes - half + 1000);
  expect((await verifyModel({ ...store, signal: new AbortController().signal }, whole)).damages).toEqual([]);
});

test("fetchFiles leaves a connection that brings nothing", async () => {
  const { store } = await addWith(
    (asked, count) =>
      isMovq(asked) && count === 1 && asked.range!.startsWith("bytes=0-")
        ? { stallAfter: 10_000 }
        : undefined,
    { stallMilliseconds: 300 },
  );
  expect(store.events.filter(({ type }) => type === "wait").length).toBeGreaterThan(0);
});

test("fetchFiles manages with a server that knows no parts", async () => {
  const { hub } = await addWith(() => ({ ignoreRange: true }));
  expect(hub.asked.filter(isMovq)).toHaveLength(1);
  let cuts = 0;
  const cut = await addWith((asked) => ({
    ignoreRange: true,
    ...(isMovq(asked) && cuts++ === 0 ? { cutAfter: 500_000 } : {}),
  }));
  expect(cut.hub.asked.filter(isMovq)).toHaveLength(2);
});

test("fetchFiles takes small files that a server packs although nobody asked for it", async () => {
  const hub = await startHub();
  const store = await storeFor(hub);
  const packed = gzipSync(hub.files.get("unet/config.json")!);
  hub.mischief = (asked) =>
    asked.path.endsWith("unet/config.json")
      ? { body: packed, ignoreRange: true, headers: { "content-encoding": "gzip" } }
      : undefined;
  expect((await verifyModel(store, await add(store))).damages).toEqual([]);
});

test("ask waits as long as a busy hub says, and tells it", async () => {
  const waited: number[] = [];
  const { store } = await addWith(
    (asked, count) => {
      if (count > 1) return undefined;
      if (isMovq(asked))
        return asked.range?.startsWith("bytes=0-")
          ? { status: 429, headers: { "retry-after": "7" } }
          : undefined;
      return asked.path.includes("/tree/") ? { status: 503 } : undefined;
    },
    { wait: async (milliseconds) => void waited.push(milliseconds) },
  );
  expect(waited).toContain(7000);
  expect(waited.filter((milliseconds) => milliseconds === 1000).length).toBeGreaterThan(0);
  expect(store.events).toContainEqual({ type: "wait", seconds: 7, reason: "429, too many requests" });
});

const at = (part: string) => (asked: Asked) => asked.path.includes(part);
const always =
  (where: (asked: Asked) => boolean, what: Mischief): TestHub["mischief"] =>
  (asked) =>
    where(asked) ? what : undefined;
const TREE = at("/tree/");

/** What goes wrong, the code of the error, and what it must say. */
const FAILURES: readonly (readonly [
  name: string,
  mischief: TestHub["mischief"],
  code: string,
  says: RegExp,
])[] = [
  [
    "a wrong token",
    always(at("/api/"), { status: 401 }),
    "source_refused",
    /does not accept the token.*HF_TOKEN/,
  ],
  [
    "a gated model",
    always(at("/api/"), { status: 403, headers: { "x-error-code": "GatedRepo" } }),
    "source_refused",
    /terms.*accept them at http.*HF_TOKEN/,
  ],
  [
    "gated files",
    always(at("/resolve/"), { status: 403, headers: { "x-error-code": "GatedRepo" } }),
    "source_refused",
    /terms/,
  ],
  ["no rights", always(isMovq, { status: 403 }), "source_refused", /403/],
  ["a file that is gone", always(isMovq, { status: 404 }), "source_missing", /movq/],
  ["a hub that stays busy", always(TREE, { status: 429 }), "source_unreachable", /429.*later/],
  [
    "a hub that wants an hour",
    always(TREE, { status: 429, headers: { "retry-after": "3600" } }),
    "source_unreachable",
    /3600 seconds/,
  ],
  ["a broken hub", always(isMovq, { status: 500 }), "source_unreachable", /500/],
  [
    "a login page",
    always(at("/api/"), { body: "<html>log in</html>" }),
    "source_corrupt",
    /makes no sense.*HF_ENDPOINT/,
  ],
  ["answers of another kind", always(TREE, { body: '{"error": 1}' }), "source_corrupt", /makes no sense/],
  [
    "a listing that is always cut",
    always(TREE, { cutAfter: 20 }),
    "source_unreachable",
    /cut again and again/,
  ],
  [
    "an endless redirect",
    always(at("/resolve/"), { status: 302, headers: { location: "?again" } }),
    "source_unreachable",
    /without end/,
  ],
  [
    "a redirect to a file",
    always(at("/resolve/"), { status: 302, headers: { location: "file:///etc/passwd" } }),
    "source_unreachable",
    /not safe.*file:/,
  ],
  [
    "a redirect to nowhere",
    always(at("/resolve/"), { status: 302, headers: { location: "http://[" } }),
    "source_unreachable",
    /no address/,
  ],
  [
    "a file of another size",
    always(isMovq, { headers: { "content-range": "bytes 0-65535/99" } }),
    "source_corrupt",
    /\/99/,
  ],
  [
    "another part than asked for",
    always(isMovq, { headers: { "content-range": "bytes 5-65540/99" } }),
    "source_corrupt",
    /bytes 5-/,
  ],
  ["a file that is shorter", always(isMovq, { status: 416 }), "source_corrupt", /shorter/],
  [
    "a whole file of another size",
    always(isMovq, { ignoreRange: true, body: "short" }),
    "source_corrupt",
    /5 bytes/,
  ],
  ["other bytes", always(isMovq, { body: Buffer.alloc(2_351_176, 3) }), "source_corrupt", /./],
  [
    "other small bytes",
    always(at("unet/config.json"), { body: "{}" }),
    "source_corrupt",
    /unet\/config.json/,
  ],
  [
    "another small file of equal size",
    always(at("resolve/0123456789abcdef0123456789abcdef01234567/model_index.json"), {
      body: "x".repeat(388),
    }),
    "source_corrupt",
    /model_index/,
  ],
];

test.each(FAILURES)("addPlanned tells of %s, and the store stays whole", async (_, mischief, code, says) => {
  const error = await addBadly(mischief, { stallMilliseconds: 2000 });
  expect([error.code, error.message]).toEqual([code, expect.stringMatching(says)]);
  expect(error.message).not.toContain("hf_secret");
});

test("fetchFiles refuses bytes of another hash, and takes them away", async () => {
  const hub = await startHub();
  const store = await storeFor(hub);
  const good = hub.files.get(MOVQ)!;
  const bad = Buffer.from(good);
  bad[1_000_000]! ^= 1;
  hub.mischief = always(isMovq, { body: bad });
  const error = await errorOf(() => add(store));
  expect([error.code, error.parts.where]).toEqual(["source_corrupt", `${REPOSITORY}/${MOVQ}`]);
  expect(readdirSync(blobsOf(store)).filter((name) => name.startsWith(oidOf(good)))).toEqual([]);
});

test("fetchFiles fetches anew, once, where the bytes of an earlier run were damaged", async () => {
  const hub = await startHub();
  const store = await storeFor(hub);
  hub.mischief = (asked) =>
    isMovq(asked) && !asked.range!.startsWith("bytes=0-") ? { status: 404 } : undefined;
  await errorOf(() => add(store));
  const path = join(blobsOf(store), oidOf(hub.files.get(MOVQ)!) + PARTIAL_ENDING);
  const partial = readFileSync(path);
  partial[5]! ^= 1;
  writeFileSync(path, partial);
  hub.mischief = () => undefined;
  const model = await add(store);
  expect((await verifyModel(store, model)).damages).toEqual([]);
});

test.each([
  ["nothing", () => Buffer.alloc(0)],
  ["other bytes", () => Buffer.alloc(5_000, 9)],
  ["the right length but no counters", () => Buffer.alloc(2_351_176, 9)],
  ["counters beyond the end", () => Buffer.alloc(3_000_000, 255)],
])("openPartial begins anew with a partial file that holds %s", async (_, make) => {
  const hub = await startHub();
  const store = await storeFor(hub);
  hub.mischief = always(isMovq, { status: 404 });
  await errorOf(() => add(store));
  writeFileSync(join(blobsOf(store), oidOf(hub.files.get(MOVQ)!) + PARTIAL_ENDING), make());
  hub.mischief = () => undefined;
  expect((await verifyModel(store, await add(store))).damages).toEqual([]);
});

test("addPlanned says that the disk is full, and goes on when there is room", async () => {
  const hub = await startHub();
  let room = 1_500_000;
  const files: Store["files"] = {
    open: async (path, flags, mode) => {
      const handle = await nodeFiles.open(path, flags, mode);
      const write = handle.write.bind(handle) as (
        ...values: unknown[]
      ) => Promise<{ bytesWritten: number; buffer: Uint8Array }>;
      const limited = async (bytes: Uint8Array, ...rest: unknown[]) => {
        if (room < bytes.length) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
        room -= bytes.length;
        return write(bytes, ...rest);
      };
      return Object.assign(handle, { write: limited });
    },
  };
  const store = await storeFor(hub, { files });
  const error = await errorOf(() => add(store));
  expect([error.code, error.fault]).toEqual(["disk_full", "environment"]);
  expect(error.parts.hint).toContain("make room");
  const before = hub.sent();
  room = Number.POSITIVE_INFINITY;
  const model = await add(store);
  expect(hub.sent() - before).toBeLessThan(model.bytes - 500_000);
  expect((await verifyModel(store, model)).damages).toEqual([]);
});

test("ask says that there is no network, and tries before", async () => {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  const waited: number[] = [];
  const store = await storeFor(
    { endpoint: `http://127.0.0.1:${port}` },
    { wait: async (ms) => void waited.push(ms / 1000) },
  );
  const error = await errorOf(() => planAdd(store, { repository: REPOSITORY }));
  expect([error.code, error.fault, error.parts.seen]).toEqual([
    "source_unreachable",
    "environment",
    `http://127.0.0.1:${port}: ECONNREFUSED`,
  ]);
  expect(waited).toEqual([1, 2, 4, 8, 16]);
});

test("ask leads no token and no download from https to http", async () => {
  const seen: [string, string | null][] = [];
  const redirect = async (input: unknown, init?: RequestInit) => {
    seen.push([String(input), new Headers(init?.headers).get("authorization")]);
    return new Response(null, { status: 302, headers: { location: "http://elsewhere.example/x" } });
  };
  const store = await storeFor({ endpoint: "https://hub.example" }, { fetch: redirect as typeof fetch });
  const error = await errorOf(() => planAdd(store, { repository: REPOSITORY }));
  expect([error.code, error.parts.seen]).toEqual(["source_unreachable", "http:"]);
  expect(seen).toHaveLength(1);
  expect(seen[0]![1]).toBe("Bearer hf_secret");
});
