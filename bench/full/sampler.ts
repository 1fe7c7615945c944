/**
 * A process of low priority that looks at the memory of others 20 times a second until it is told to stop. The first
 * word of its command line is a file of process ids (a control group's) or the id of a process to follow down to its
 * children.
 */
import { readFileSync } from "node:fs";
import { setPriority } from "node:os";

/** What the sampler found: one entry a look, and the largest resident size of every process. */
export interface Samples {
  /** Milliseconds since 1970. */
  readonly times: readonly number[];
  /** Private bytes (RssAnon) of all processes together. */
  readonly privateBytes: readonly number[];
  /** VmHWM by process. */
  readonly residentBytes: Readonly<Record<number, number>>;
}

const LOWEST = 19;
const MILLISECONDS = 50;

function read(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

/** Ids in a file, or those of a process and of all that it started. */
function pidsOf(source: string): number[] {
  const numbers = (text: string) => text.split(/\s+/).filter(Boolean).map(Number);
  if (!/^\d+$/.test(source)) return numbers(read(source));
  const found = [Number(source)];
  for (const pid of found) found.push(...numbers(read(`/proc/${pid}/task/${pid}/children`)));
  return found;
}

function main(source: string): void {
  setPriority(LOWEST);
  const times: number[] = [];
  const privateBytes: number[] = [];
  const residentBytes: Record<number, number> = {};
  const timer = setInterval(() => {
    let together = 0;
    for (const pid of pidsOf(source)) {
      const status = read(`/proc/${pid}/status`);
      const bytes = (field: string) =>
        1024 * Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
      together += bytes("RssAnon");
      residentBytes[pid] = Math.max(residentBytes[pid] ?? 0, bytes("VmHWM"));
    }
    times.push(Date.now());
    privateBytes.push(together);
  }, MILLISECONDS);
  process.on("message", () => {
    clearInterval(timer);
    const samples: Samples = { times, privateBytes, residentBytes };
    process.send?.(samples, () => process.exit());
  });
  // Whoever asked is gone.
  process.on("disconnect", () => process.exit());
}

main(process.argv[2]!);
