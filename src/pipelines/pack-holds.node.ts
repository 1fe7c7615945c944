import { createHash, randomUUID } from "node:crypto";
import { link, mkdir, readdir, rm, rmdir, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, join } from "node:path";
import { kill, pid } from "node:process";

/** Folder beside packed weights: in it each process has links to those that it uses, in a folder of its own. */
export const HOLDS_FOLDER = "in-use";

/**
 * Packed files that this process uses, by links of its own: whoever removes or replaces a file meanwhile, what was
 * found stays there until `release`.
 */
export class PackHolds {
  readonly #held = new Map<string, string>();
  #folder: string | undefined;

  /** A name of `file` that nobody else removes; undefined where it is gone already. */
  async hold(file: string): Promise<string | undefined> {
    const known = this.#held.get(file);
    if (known !== undefined) return known;
    try {
      this.#folder ??= await makeFolder(file);
      const held = join(this.#folder, `${this.#held.size}-${basename(file)}`);
      await link(file, held);
      this.#held.set(file, held);
      return held;
    } catch {
      // Without a link (some file systems have none) the file itself must do.
      return (await exists(file)) ? file : undefined;
    }
  }

  /** Gives all files back. */
  async release(): Promise<void> {
    const folder = this.#folder;
    this.#held.clear();
    this.#folder = undefined;
    if (folder === undefined) return;
    await rm(folder, { recursive: true, force: true });
    // Fails where other processes use packed weights.
    await rmdir(join(folder, "..")).catch(() => {});
  }
}

/** Removes the links of processes that ended without doing so. */
export async function releaseDead(packs: string): Promise<void> {
  const holds = join(packs, HOLDS_FOLDER);
  for (const name of await readdir(holds).catch(() => [])) {
    const folder = join(holds, name);
    if (await isDead(folder)) await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
  await rmdir(holds).catch(() => {});
}

async function makeFolder(file: string): Promise<string> {
  const folder = join(file, "..", HOLDS_FOLDER, `${pid}-${host()}-${randomUUID()}`);
  await mkdir(folder, { recursive: true });
  return folder;
}

/** Of a process of another machine, which cannot be asked, this is how long it counts as alive. */
const FOREIGN_MILLISECONDS = 7 * 24 * 3_600_000;

async function isDead(folder: string): Promise<boolean> {
  const [, id, from] = /^(\d+)-([0-9a-f]+)-/.exec(basename(folder)) ?? [];
  if (id === undefined) return false;
  if (from !== host()) {
    const { mtimeMs } = await stat(folder).catch(() => ({ mtimeMs: Date.now() }));
    return Date.now() - mtimeMs > FOREIGN_MILLISECONDS;
  }
  try {
    kill(Number(id), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

function host(): string {
  return createHash("sha256").update(hostname()).digest("hex").slice(0, 8);
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}
