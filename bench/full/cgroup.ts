import { existsSync } from "node:fs";
import { mkdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { memoryGroups } from "../../src/runtime/mod.ts";

/** A control group of its own with a memory limit and no swap. */
export interface LimitedGroup {
  readonly version: 1 | 2;
  /** The words that start a program inside the group. */
  enter(words: readonly string[]): readonly string[];
  /** Processes in it. */
  readonly processes: string;
  /** The most bytes that it had, cached files included, and how many processes the system ended for lack of memory. */
  usage(): Promise<{ readonly maxBytes: number | undefined; readonly ended: number | undefined }>;
  /** Removes it; its processes must have ended. */
  remove(): Promise<void>;
}

interface Version {
  readonly limits: (bytes: number) => readonly (readonly [file: string, text: string])[];
  readonly max: string;
  /** The file that counts ended processes. */
  readonly ended: string;
  /** Where a new group may lie: below the own one, or beside it where the own one may have no children. */
  readonly parents: (own: string) => readonly string[];
}

const VERSIONS: { readonly [V in 1 | 2]: Version } = {
  1: {
    limits: (bytes) => [
      ["memory.limit_in_bytes", `${bytes}`],
      ["memory.memsw.limit_in_bytes", `${bytes}`],
      ["memory.swappiness", "0"],
    ],
    max: "memory.max_usage_in_bytes",
    ended: "memory.oom_control",
    parents: (own) => [own],
  },
  2: {
    limits: (bytes) => [
      ["memory.max", `${bytes}`],
      ["memory.swap.max", "0"],
    ],
    max: "memory.peak",
    ended: "memory.events",
    parents: (own) => [own, dirname(own)],
  },
};

/** Makes a group of `bytes`; a text where this machine does not allow it, saying why. */
export async function makeGroup(bytes: number): Promise<LimitedGroup | string> {
  const reasons: string[] = [];
  for (const { version, folders } of await memoryGroups()) {
    const { limits, max, ended, parents } = VERSIONS[version];
    for (const parent of parents(folders.at(-1)!)) {
      const folder = join(parent, `kandinsky-bench-${process.pid}`);
      try {
        await mkdir(folder);
      } catch (error) {
        reasons.push((error as Error).message);
        continue;
      }
      try {
        // The first sets the limit; machines without swap lack the others.
        for (const [i, [file, text]] of limits(bytes).entries()) {
          if (i === 0 || existsSync(join(folder, file))) await writeFile(join(folder, file), text);
        }
      } catch (error) {
        reasons.push((error as Error).message);
        await rmdir(folder);
        continue;
      }
      const read = (file: string) => readFile(join(folder, file), "utf8");
      const processes = join(folder, "cgroup.procs");
      return {
        version,
        processes,
        enter: (words) => ["/bin/sh", "-c", `echo $$ > "$0" && exec "$@"`, processes, ...words],
        async usage() {
          const maxBytes = await read(max).then(Number, () => undefined);
          const count = /^oom_kill (\d+)$/m.exec(await read(ended).catch(() => ""))?.[1];
          return { maxBytes, ended: count === undefined ? undefined : Number(count) };
        },
        remove: () => removeGroup(folder),
      };
    }
  }
  return reasons.join("; ") || "this system has no control groups";
}

const TRIES = 50;

/** The kernel takes a moment to see that the last process has ended. */
async function removeGroup(folder: string): Promise<void> {
  for (let i = 0; ; i++) {
    try {
      return await rmdir(folder);
    } catch (error) {
      if (i === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
