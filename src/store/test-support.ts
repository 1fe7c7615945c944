import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { cp, mkdtemp, realpath, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { openStore, type Store, type StoreEvent } from "./world.node.ts";

/** A model of few channels; this file runs as dist/src/store/test-support.js. */
export const TINY = fileURLToPath(new URL("../../../golden/tiny-k3", import.meta.url));

export const REPOSITORY = "kandinsky-community/kandinsky-3";
export const COMMIT = "0123456789abcdef0123456789abcdef01234567";
export const TOKEN = "hf_secret";
const CARD = "---\nlicense: apache-2.0\ntags:\n- text-to-image\n---\n# A model\n";
/** Larger files are stored as the hub stores large files: by sha256, at another address. */
const LARGE_BYTES = 16 * 1024;
const PAGE = 5;

/** A fresh folder, by its real path, that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-store-")));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The files of a folder by their paths with slashes. */
export function readFolder(folder: string): Map<string, Buffer> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  const paths = names.filter((name) => !name.startsWith(".") && statSync(join(folder, name)).isFile());
  return new Map(paths.map((name) => [name.split(sep).join("/"), readFileSync(join(folder, name))]));
}

/** The tiny model as it is published: the fp16 word in the names, a model card, files nobody needs. */
export function publishedModel(): Map<string, Buffer> {
  const files = new Map(
    [...readFolder(TINY)].map(([path, bytes]) => [path.replace(".safetensors", ".fp16.safetensors"), bytes]),
  );
  files.set("README.md", Buffer.from(CARD));
  files.set(".gitattributes", Buffer.from("*.safetensors filter=lfs\n"));
  files.set("unet/diffusion_pytorch_model.bin", Buffer.alloc(LARGE_BYTES + 1, 7));
  files.set("docs/picture.png", Buffer.alloc(100, 1));
  return files;
}

export const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");
const gitHash = (bytes: Buffer) =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");
export const oidOf = (bytes: Buffer) => (bytes.length > LARGE_BYTES ? sha256(bytes) : gitHash(bytes));

/** What came in. */
export interface Asked {
  readonly host: "hub" | "files";
  readonly path: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
}

/** How an answer goes wrong; undefined for a good one. */
export interface Mischief {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer | string;
  /** Ends the connection after so many bytes of the body. */
  readonly cutAfter?: number;
  /** Sends the beginning and then nothing more. */
  readonly stallAfter?: number;
  /** Knows nothing of parts. */
  readonly ignoreRange?: boolean;
}

export interface TestHub {
  readonly endpoint: string;
  readonly files: Map<string, Buffer>;
  readonly asked: Asked[];
  /** Bytes of files that went out. */
  readonly sent: () => number;
  /** Asked before each answer. */
  mischief: (asked: Asked, count: number) => Mischief | undefined;
  /** What the listing says of a file, where it is to say something false. */
  falsify: (entry: Record<string, unknown>) => Record<string, unknown>;
  /** Milliseconds between pieces of 16 kB. */
  slowness: number;
  commit: string;
}

/** A hub with one repository, and a second server at another address that has the large files. */
export async function startHub(files: Map<string, Buffer> = publishedModel()): Promise<TestHub> {
  let sent = 0;
  const counts = new Map<string, number>();
  const answer = (host: Asked["host"]) => (request: IncomingMessage, response: ServerResponse) => {
    const { authorization, range } = request.headers;
    const asked: Asked = { host, path: decodeURIComponent(request.url ?? ""), authorization, range };
    const key = `${host} ${asked.path} ${range ?? ""}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    hub.asked.push(asked);
    const wrong = hub.mischief(asked, counts.get(key)!) ?? {};
    if (wrong.status !== undefined && wrong.status !== 200) {
      response.writeHead(wrong.status, { ...wrong.headers }).end(wrong.body ?? "");
      return;
    }
    const good = host === "hub" ? hubAnswer(hub, asked, other) : fileAnswer(hub, asked);
    void deliver(request, response, good, wrong, hub.slowness, (bytes) => {
      sent += good.isFile ? bytes : 0;
    });
  };
  const [main, second] = [createServer(answer("hub")), createServer(answer("files"))];
  const endpoint = `http://127.0.0.1:${await listen(main, "127.0.0.1")}`;
  const other = `http://localhost:${await listen(second, "localhost")}`;
  const hub: TestHub = {
    endpoint,
    files,
    asked: [],
    sent: () => sent,
    mischief: () => undefined,
    falsify: (entry) => entry,
    slowness: 0,
    commit: COMMIT,
  };
  return hub;
}

async function listen(server: Server, host: string): Promise<number> {
  await new Promise<void>((done) => server.listen(0, host, done));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly isFile: boolean;
}

const json = (value: unknown, headers = {}): Answer => ({
  status: 200,
  headers: { "content-type": "application/json", ...headers },
  body: Buffer.from(JSON.stringify(value)),
  isFile: false,
});

const error = (status: number, code: string): Answer => ({
  status,
  headers: { "x-error-code": code },
  body: Buffer.from(code),
  isFile: false,
});

function hubAnswer(hub: TestHub, { path }: Asked, other: string): Answer {
  const url = new URL(path, hub.endpoint);
  const [, api, route, rest] =
    /^\/(api\/models\/)?[^/]+\/[^/]+\/(revision|tree|resolve)\/(.*)$/.exec(url.pathname) ?? [];
  const isOurs = url.pathname.includes(REPOSITORY);
  if (!isOurs) return error(401, "RepoNotFound");
  const revisions = ["main", hub.commit, "refs/pr/1", "v1"];
  const revision = revisions.find((name) => rest === name || rest?.startsWith(`${name}/`));
  if (revision === undefined) return error(404, "RevisionNotFound");
  if (api !== undefined && route === "revision") {
    return json({
      _id: "1",
      id: REPOSITORY,
      sha: hub.commit,
      cardData: { license: "apache-2.0" },
      gated: false,
    });
  }
  if (api !== undefined && route === "tree") return treeAnswer(hub, url);
  const name = rest!.slice(revision.length + 1);
  const bytes = hub.files.get(name);
  if (bytes === undefined) return error(404, "EntryNotFound");
  const headers = { "x-repo-commit": hub.commit };
  if (bytes.length <= LARGE_BYTES) {
    return { status: 200, headers: { ...headers, etag: `"${oidOf(bytes)}"` }, body: bytes, isFile: true };
  }
  const linked = { "x-linked-etag": `"${oidOf(bytes)}"`, "x-linked-size": `${bytes.length}` };
  const location = `${other}/${encodeURIComponent(name)}`;
  return { status: 302, headers: { ...headers, ...linked, location }, body: Buffer.alloc(0), isFile: false };
}

function treeAnswer(hub: TestHub, url: URL): Answer {
  const entries = [...hub.files].map(([path, bytes]) => {
    const common = { type: "file", path, size: bytes.length };
    const oid = gitHash(bytes);
    if (bytes.length <= LARGE_BYTES) return hub.falsify({ ...common, oid });
    return hub.falsify({ ...common, oid, lfs: { oid: sha256(bytes), size: bytes.length, pointerSize: 130 } });
  });
  const start = Number(url.searchParams.get("cursor") ?? 0);
  const next = new URL(url);
  next.searchParams.set("cursor", `${start + PAGE}`);
  const link = start + PAGE < entries.length ? { link: `<${next}>; rel="next"` } : {};
  return json(
    [{ type: "directory", path: "unet", size: 0, oid: "0" }, ...entries.slice(start, start + PAGE)],
    link,
  );
}

function fileAnswer(hub: TestHub, { path }: Asked): Answer {
  const bytes = hub.files.get(path.slice(1));
  if (bytes === undefined) return error(404, "EntryNotFound");
  return { status: 200, headers: {}, body: bytes, isFile: true };
}

async function deliver(
  request: IncomingMessage,
  response: ServerResponse,
  good: Answer,
  wrong: Mischief,
  slowness: number,
  onSent: (bytes: number) => void,
): Promise<void> {
  const whole = wrong.body === undefined ? good.body : Buffer.from(wrong.body);
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "") ?? [];
  const isPart = good.isFile && from !== undefined && wrong.ignoreRange !== true;
  const end = isPart && to !== "" ? Math.min(Number(to) + 1, whole.length) : whole.length;
  const start = isPart ? Number(from) : 0;
  const body = whole.subarray(start, end);
  const range = isPart ? { "content-range": `bytes ${start}-${end - 1}/${whole.length}` } : {};
  const status = isPart ? 206 : good.status;
  response.writeHead(status, {
    ...good.headers,
    ...range,
    "content-length": `${body.length}`,
    ...wrong.headers,
  });
  const limit = wrong.cutAfter ?? wrong.stallAfter ?? body.length;
  for (let at = 0; at < Math.min(limit, body.length); at += PIECE) {
    const piece = body.subarray(at, Math.min(at + PIECE, limit));
    if (response.destroyed) return;
    response.write(piece);
    onSent(piece.length);
    if (slowness > 0) await new Promise((done) => setTimeout(done, slowness));
  }
  if (wrong.cutAfter !== undefined) {
    // What was written must leave before the connection goes.
    await new Promise((done) => setTimeout(done, 10));
    response.destroy();
  } else if (wrong.stallAfter === undefined) response.end();
}

const PIECE = 16 * 1024;

/** A store in fresh folders that asks this hub; waits are over at once, and are told. */
export async function storeFor(
  hub: { readonly endpoint: string },
  world: Partial<Store> = {},
  env: Readonly<Record<string, string>> = {},
): Promise<Store & { readonly events: StoreEvent[]; readonly folder: string }> {
  const folder = await temporaryFolder();
  const events: StoreEvent[] = [];
  const store = await openStore(
    {
      HF_ENDPOINT: hub.endpoint,
      HF_HOME: join(folder, "hf"),
      KANDINSKY_HOME: join(folder, "data"),
      HF_TOKEN: TOKEN,
      ...env,
    },
    {
      wait: async () => {},
      partBytes: 64 * 1024,
      onEvent: (event) => void events.push(event),
      ...world,
    },
  );
  return { ...store, events, folder };
}

/** A writable copy of the tiny model. */
export async function copyTiny(folder: string): Promise<string> {
  const model = join(folder, "tiny");
  await cp(TINY, model, { recursive: true, filter: (path) => !relative(TINY, path).startsWith(".") });
  return model;
}

/** The KandinskyError that the work ends with; any other outcome fails the test. */
export async function errorOf(work: () => unknown): Promise<KandinskyError> {
  try {
    await work();
  } catch (failure) {
    if (failure instanceof KandinskyError) return failure;
    throw failure;
  }
  throw new Error("no error was thrown");
}
