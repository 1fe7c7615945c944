import { KandinskyError } from "../base/mod.ts";
import { blobPath, type CachedRepository, hasContent, linkFile, PARTIAL_ENDING } from "./cache.node.ts";
import { isBlob, isBlobFile } from "./hash.node.ts";
import { fileUrl } from "./hub.ts";
import type { RemoteFile } from "./names.ts";
import { openPartial, type Part, type PartialFile } from "./partial.node.ts";
import { ask, delayOf, lostBody, pause, Stall, stopped, TRIES } from "./requests.ts";
import { diskError } from "./whole.node.ts";
import type { Store } from "./world.node.ts";

/** Connections at once. */
const CONNECTIONS = 8;
/** What came is written, and counted, in pieces of about this size. */
const WRITE_BYTES = 2 ** 20;
/** Configurations and indexes that are read before anything is planned. */
const MAX_SMALL_BYTES = 64 * 2 ** 20;

/** Where files come from and where they go. */
export interface Transfer {
  readonly store: Store;
  readonly repository: string;
  readonly commit: string;
  readonly target: CachedRepository;
}

interface Run extends Transfer {
  /** Ends with the first failure of any part. */
  readonly signal: AbortSignal;
  /** Bytes that are there, and whether they have just come. */
  readonly onBytes: (bytes: number, isNew: boolean) => void;
  readonly connect: <T>(work: () => Promise<T>) => Promise<T>;
}

/** The content of a small file, checked against the hub's list. Throws as `ask` does, or `source_corrupt`. */
export async function readRemote(
  { store, repository, commit }: Transfer,
  file: RemoteFile,
): Promise<Uint8Array> {
  const where = `${repository}/${file.path}`;
  if (file.size > MAX_SMALL_BYTES) throw corrupt(where, `${file.size} bytes`, `at most ${MAX_SMALL_BYTES}`);
  const url = fileUrl(store, repository, commit, file.path);
  for (let attempt = 1; ; attempt++) {
    const response = await ask(store, { url, where }, store.signal);
    checkLength(response, file.size, where);
    try {
      const bytes = new Uint8Array(await response.arrayBuffer());
      if (isBlob(file.oid, bytes)) return bytes;
    } catch (cause) {
      if (store.signal.aborted) throw stopped(cause);
      if (attempt >= TRIES) throw lostBody(where, cause);
      await pause(store, delayOf(attempt), where, store.signal);
      continue;
    }
    throw wrongHash(where);
  }
}

/**
 * Fetches files into the blobs of a cache and shows each in its snapshot as soon as it is whole: several
 * connections at once, in parts, going on where an earlier run was ended; every content is checked by its hash
 * before it gets its name. What is there is not fetched. Throws as `ask` does, `source_corrupt` and `disk_full`;
 * all that came is kept.
 */
export async function fetchFiles(transfer: Transfer, files: readonly RemoteFile[]): Promise<void> {
  const { store } = transfer;
  const missing = await filterAsync(
    files,
    async (file) => !(await hasContent(transfer.target, transfer.commit, file)),
  );
  const total = missing.reduce((sum, { size }) => sum + size, 0);
  let [done, fetched] = [0, 0];
  const failure = new AbortController();
  const run: Run = {
    ...transfer,
    signal: failure.signal,
    onBytes: (bytes, isNew) => {
      done += bytes;
      fetched += isNew ? bytes : 0;
      store.onEvent({ type: "bytes", done, fetched, total });
    },
    connect: limiter(CONNECTIONS),
  };
  // Contents that several files share are fetched once.
  const lacking = new Map(missing.map((file) => [file.oid, file]));
  for (const { oid } of files) if (!lacking.has(oid)) await show(transfer, files, oid);
  const stop = () => failure.abort(stopped());
  if (store.signal.aborted) stop();
  store.signal.addEventListener("abort", stop);
  try {
    await together(
      failure,
      [...lacking.values()].map((file) => async () => {
        await fetchBlob(run, file, failure);
        await show(transfer, files, file.oid);
      }),
    );
  } finally {
    store.signal.removeEventListener("abort", stop);
  }
}

/** Shows a content that is there under each of its names. */
async function show(
  { store, target, commit }: Transfer,
  files: readonly RemoteFile[],
  oid: string,
): Promise<void> {
  for (const file of files.filter((candidate) => candidate.oid === oid)) {
    await linkFile(target, commit, file).catch((error: unknown) => {
      throw diskError(blobPath(target, oid), error);
    });
    store.onEvent({ type: "file", path: file.path });
  }
}

async function fetchBlob(run: Run, file: RemoteFile, failure: AbortController): Promise<void> {
  const path = blobPath(run.target, file.oid) + PARTIAL_ENDING;
  for (let round = 1; ; round++) {
    const partial = await openPartial(path, file.size, run.store.files, run.store.partBytes);
    let isOpen = true;
    try {
      run.onBytes(partial.before, false);
      await fetchParts(run, file, partial, failure);
      if (await check(run, file, partial)) {
        isOpen = false;
        await partial.finish(blobPath(run.target, file.oid));
        return;
      }
      isOpen = false;
      await partial.discard();
      run.onBytes(-file.size, false);
    } catch (error) {
      throw diskError(path, error);
    } finally {
      if (isOpen) await partial.close();
    }
    // What an earlier run left may have been damaged since: once, all of it is fetched anew.
    if (partial.before === 0 || round > 1) throw wrongHash(`${run.repository}/${file.path}`);
  }
}

async function check(
  { store, signal }: Run,
  { oid, size }: RemoteFile,
  partial: PartialFile,
): Promise<boolean> {
  let done = 0;
  const onRead = (bytes: number) => {
    done += bytes;
    store.onEvent({ type: "check", done, total: size });
  };
  return isBlobFile(partial.handle, oid, size, onRead, signal);
}

/** One part first: it tells whether the server knows parts at all. */
async function fetchParts(
  run: Run,
  file: RemoteFile,
  partial: PartialFile,
  failure: AbortController,
): Promise<void> {
  const [first] = partial.missing();
  if (first === undefined) return;
  await run.connect(() => fetchPart(run, file, partial, first));
  const rest = partial.missing().map((part) => () => run.connect(() => fetchPart(run, file, partial, part)));
  await together(failure, rest);
}

/** Fetches what a part lacks; where the connection is cut it goes on, as long as each try brings something. */
async function fetchPart(run: Run, file: RemoteFile, partial: PartialFile, part: Part): Promise<void> {
  const { store, repository, commit, signal } = run;
  const where = `${repository}/${file.path}`;
  const url = fileUrl(store, repository, commit, file.path);
  let { next, end } = part;
  for (let attempt = 1; next < end; attempt++) {
    signal.throwIfAborted();
    const range = `bytes=${next}-${end - 1}`;
    const response = await ask(store, { url, where, headers: { range } }, signal);
    const isPart = response.status === 206;
    try {
      if (isPart) checkRange(response, next, file.size, where);
      else checkLength(response, file.size, where);
    } catch (error) {
      void response.body?.cancel().catch(() => {});
      throw error;
    }
    // A server that knows no parts sends all of it: the other parts come along.
    if (!isPart) end = file.size;
    const got = await receive(run, response, partial, isPart ? next : 0, end, where);
    if (got.position > next) [next, attempt] = [got.position, 0];
    if (next >= end) return;
    const error = lostBody(where, got.cause);
    if (attempt >= TRIES) throw error;
    await pause(store, delayOf(Math.max(attempt, 1)), error.parts.seen ?? "", signal);
  }
}

/** Writes a body to its place as it comes; tells how far it got, and why not further. */
async function receive(
  { store, signal, onBytes }: Run,
  response: Response,
  partial: PartialFile,
  from: number,
  to: number,
  where: string,
): Promise<{ position: number; cause: unknown }> {
  const pieceBytes = Math.min(WRITE_BYTES, store.partBytes);
  let position = from;
  let waiting: Uint8Array[] = [];
  let bytes = 0;
  const flush = async () => {
    const piece = Buffer.concat(waiting);
    [waiting, bytes] = [[], 0];
    const counted = await partial.write(position, piece).catch((error: unknown) => {
      throw diskError(where, error);
    });
    onBytes(counted, true);
    position += piece.length;
  };
  let cause: unknown = new Error("the connection ended too soon");
  const reader = response.body?.getReader();
  const end = (reason: unknown) => {
    cause = reason;
    void reader?.cancel().catch(() => {});
  };
  const stall = setTimeout(() => end(new Stall()), store.stallMilliseconds);
  // `fetch` forgets its signal once the answer has begun (Node 20).
  const onAbort = () => end(signal.reason);
  signal.addEventListener("abort", onAbort);
  try {
    for (;;) {
      const chunk = await reader?.read().catch((error: unknown) => {
        cause = error;
      });
      if (chunk?.value === undefined) break;
      stall.refresh();
      waiting.push(chunk.value);
      bytes += chunk.value.length;
      if (position + bytes > to) throw corrupt(where, "more bytes than the file has", `${to}`);
      if (bytes >= pieceBytes) await flush();
    }
    if (bytes > 0) await flush();
  } finally {
    clearTimeout(stall);
    signal.removeEventListener("abort", onAbort);
    void reader?.cancel().catch(() => {});
  }
  signal.throwIfAborted();
  return { position, cause };
}

function checkRange(response: Response, from: number, size: number, where: string): void {
  const said = response.headers.get("content-range") ?? "";
  const [, start, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(said) ?? [];
  if (Number(start) === from && (total === "*" || Number(total) === size)) return;
  throw corrupt(
    where,
    said === "" ? "a part that does not say which" : said,
    `bytes from ${from} of ${size}`,
  );
}

function checkLength(response: Response, size: number, where: string): void {
  // What travels packed has another length than what arrives.
  const said = response.headers.has("content-encoding") ? null : response.headers.get("content-length");
  if (said !== null && Number(said) !== size) throw corrupt(where, `${said} bytes`, `${size}`);
}

function corrupt(where: string, seen: string, wanted: string): KandinskyError {
  return new KandinskyError("source_corrupt", {
    what: "the file at the hub is not the one in its list",
    where,
    seen,
    wanted,
    hint: "run the command again; if it stays so, the repository or the server between is damaged",
  });
}

function wrongHash(where: string): KandinskyError {
  return new KandinskyError("source_corrupt", {
    what: "the downloaded bytes do not have the hash that the hub lists",
    where,
    hint: "run the command again; if it stays so, the repository or the server between is damaged",
  });
}

/** Runs all; the first failure of any ends the others, which are waited for, and is what is thrown. */
async function together(failure: AbortController, works: readonly (() => Promise<void>)[]): Promise<void> {
  const guarded = works.map(async (work) => {
    try {
      await work();
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  });
  const outcomes = await Promise.allSettled(guarded);
  if (outcomes.some(({ status }) => status === "rejected")) throw failure.signal.reason;
}

/** Lets at most `count` works run at once, in the order in which they came. */
function limiter(count: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let free = count;
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((go) => waiting.push(go));
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}

async function filterAsync<T>(items: readonly T[], keep: (item: T) => Promise<boolean>): Promise<T[]> {
  const kept = await Promise.all(items.map(keep));
  return items.filter((_, i) => kept[i]);
}
