import { mkdir, open, readFile, rename, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { kill, pid } from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { KandinskyError } from "../base/mod.ts";
import { diskError } from "./whole.node.ts";

const RETRY_MILLISECONDS = 25;
/** A process needs far less from making its lock to writing its name. */
const NAMELESS_MILLISECONDS = 2000;

/**
 * Runs work that only one process may do at a time; the lock of a process that is gone does not count.
 * `patience` is how long to wait for another, in milliseconds. Throws `store_busy`.
 */
export async function withLock<T>(path: string, patience: number, work: () => Promise<T>): Promise<T> {
  await take(path, performance.now() + patience);
  try {
    return await work();
  } finally {
    await rm(path, { force: true });
  }
}

async function take(path: string, deadline: number): Promise<void> {
  const me = `${pid} ${hostname()}`;
  for (;;) {
    try {
      await mkdir(dirname(path), { recursive: true });
      const handle = await open(path, "wx");
      await handle.writeFile(me).finally(() => handle.close());
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw diskError(path, error);
    }
    const holder = await readFile(path, "utf8").catch(() => undefined);
    if (holder === undefined) continue;
    if (await isGone(path, holder)) await removeStale(path, holder);
    else if (performance.now() >= deadline) throw busy(path, holder);
    else await sleep(RETRY_MILLISECONDS);
  }
}

/** Whether the process of this machine that a lock names has ended, or ended before it wrote its name. */
async function isGone(path: string, holder: string): Promise<boolean> {
  if (holder === "") {
    const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Date.now() }));
    return Date.now() - mtimeMs > NAMELESS_MILLISECONDS;
  }
  const [, id, host] = /^(\d+) (.*)$/.exec(holder) ?? [];
  if (id === undefined || host !== hostname()) return false;
  try {
    kill(Number(id), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** Takes a dead lock away. Of several that see it one succeeds; who met a new one instead puts it back. */
async function removeStale(path: string, holder: string): Promise<void> {
  const aside = `${path}.${pid}.stale`;
  try {
    await rename(path, aside);
  } catch {
    return;
  }
  if ((await readFile(aside, "utf8")) === holder) await rm(aside, { force: true });
  else await rename(aside, path);
}

function busy(path: string, holder: string): KandinskyError {
  return new KandinskyError("store_busy", {
    what: "another process is working on this model",
    where: path,
    seen: `process ${holder.replace(" ", " on ")}`,
    hint: "wait until it is done; if none is running, delete that file",
  });
}
