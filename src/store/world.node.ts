import * as nodeFiles from "node:fs/promises";
import { statfs } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname } from "node:path";
import { platform } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { type Environment, readSettings, type StoreSettings } from "./settings.node.ts";

/** What the store tells while it works. */
export type StoreEvent =
  /** Of the bytes that were missing: how many are there, and how many of those came in this run. */
  | { readonly type: "bytes"; readonly done: number; readonly fetched: number; readonly total: number }
  /** Bytes read again to check their hash. */
  | { readonly type: "check"; readonly done: number; readonly total: number }
  /** A file is whole and in its place. */
  | { readonly type: "file"; readonly path: string }
  /** The connection is tried again in so many seconds. */
  | { readonly type: "wait"; readonly seconds: number; readonly reason: string };

/** The disk's calls that downloading needs, so that tests can hand in a disk that is full. */
export type StoreFiles = Pick<typeof nodeFiles, "open">;

/** A store, and what it may use of the world around it. */
export interface Store {
  readonly settings: StoreSettings;
  readonly fetch: typeof fetch;
  readonly wait: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  readonly now: () => Date;
  readonly files: StoreFiles;
  /** Bytes free on the disk that holds a folder, which need not be there yet. */
  readonly freeBytes: (folder: string) => Promise<number>;
  /** Files are fetched in parts of this many bytes. */
  readonly partBytes: number;
  /** A connection that brings nothing for so long is given up and tried again. */
  readonly stallMilliseconds: number;
  readonly signal: AbortSignal;
  readonly onEvent: (event: StoreEvent) => void;
}

const STALL_MILLISECONDS = 60_000;
/** Large: what of a part has come is kept, so a lost connection costs nothing but its own last moment. */
const PART_BYTES = 64 * 2 ** 20;

/** The store that an environment names; `world` replaces parts of it. Throws as `readSettings` does. */
export async function openStore(env: Environment, world: Partial<Store> = {}): Promise<Store> {
  return {
    settings: await readSettings(env, { home: homedir(), platform }),
    fetch: globalThis.fetch,
    wait: (milliseconds, signal) => sleep(milliseconds, undefined, { signal }),
    now: () => new Date(),
    files: nodeFiles,
    freeBytes,
    partBytes: PART_BYTES,
    stallMilliseconds: STALL_MILLISECONDS,
    signal: new AbortController().signal,
    onEvent: () => {},
    ...world,
  };
}

async function freeBytes(folder: string): Promise<number> {
  const room = await statfs(folder).catch(() => undefined);
  if (room !== undefined) return room.bavail * room.bsize;
  const parent = dirname(folder);
  return parent === folder ? Number.POSITIVE_INFINITY : freeBytes(parent);
}
