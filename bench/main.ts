import { mkdir, mkdtemp, readdir, rm, stat, statfs } from "node:fs/promises";
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { KandinskyError, nearest, parseBytes } from "../src/base/mod.ts";
import { withLock } from "../src/store/mod.ts";
import type { Context } from "./compare.ts";
import { type Found, GROUPS, type GroupName } from "./groups.ts";
import { linesOf } from "./lines.ts";
import { peerVersions } from "./processes.ts";
import { fullScale, type Scale, smokeScale } from "./scale.ts";
import { SEED } from "./weights.ts";

const USAGE = `usage: npm run bench -- [GROUP...] [--json] [--python PATH] [--folder DIR] [--keep] [--large] [--smoke] [--memory BYTES] [--steps N]
  GROUP          ${Object.keys(GROUPS).join(", ")}; all but full by default
  --json         print one JSON object instead of lines
  --python PATH  a Python with torch, diffusers and transformers: the same work beside ours
  --folder DIR   where weights are written (default: the system's folder for temporary files)
  --keep         leave them there for the next run
  --large        decode 1024x1024 too
  --smoke        small models: every line within a minute
  --memory BYTES for full: the control group that it draws in, such as 6G, 8G (default), 16G
  --steps N      for full: steps of the picture (25)`;

const THREADS = 2;
const CANCELLED = 130;
const MISTAKE = 2;
const FAILED = 3;
/** Written by nobody, but free: full disks make everything slow. */
const SPARE_BYTES = 1e9;

/** A process that was just ended may still hold its last file. */
const REMOVAL = { recursive: true, force: true, maxRetries: 10, retryDelay: 200 } as const;

const OPTIONS = {
  json: { type: "boolean", default: false },
  python: { type: "string" },
  folder: { type: "string" },
  keep: { type: "boolean", default: false },
  large: { type: "boolean", default: false },
  smoke: { type: "boolean", default: false },
  memory: { type: "string", default: "8G" },
  steps: { type: "string" },
  help: { type: "boolean", default: false },
} as const;

async function main(args: readonly string[], signal: AbortSignal): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
  if (values.help) return console.log(USAGE);
  const names = groupsNamed(positionals);
  const memory = memoryOf(values.memory);
  const scale = withSteps(values.smoke ? smokeScale() : fullScale(values.large), values.steps);
  const tell = (line: string) => console.error(line);
  const base = values.folder === undefined ? tmpdir() : resolve(values.folder);
  await mkdir(base, { recursive: true });
  // A kept folder has one name, so that the next run finds it.
  const kept = join(base, `kandinsky-bench-${scale.name}`);
  const needed = names.reduce((sum, name) => sum + GROUPS[name].diskBytes(scale), 0);
  await checkSpace(base, Math.max(0, needed - (values.keep ? await bytesIn(kept) : 0)), tell);
  const peer = values.python === undefined ? {} : await peerVersions(values.python, signal);
  const model = values.keep ? kept : await mkdtemp(join(base, "kandinsky-bench-"));
  await mkdir(model, { recursive: true });
  const work = async () => {
    const scratch = await mkdtemp(join(base, "kandinsky-bench-"));
    try {
      const context: Context = {
        scale,
        model,
        scratch,
        threads: THREADS,
        memory,
        python: values.python,
        tell,
        signal,
      };
      const { found, failures } = await measure(names, context);
      const machine = { ...describeMachine(), ...peer };
      const heading = { scale: scale.name, seed: SEED, threads: THREADS, machine };
      const lines = values.json
        ? [JSON.stringify({ ...heading, ...found, failures })]
        : [headline(heading), "", ...linesOf(found), ...failures];
      for (const line of lines) console.log(line);
      if (failures.length > 0) process.exitCode = FAILED;
    } finally {
      await rm(scratch, REMOVAL);
      if (!values.keep) await rm(model, REMOVAL);
      else tell(`kept: ${model}`);
    }
  };
  // Another run that keeps the same folder would write the model under the feet of this one.
  await (values.keep ? withLock(`${model}.lock`, 0, work) : work());
}

/** Measures the groups in turn. One that fails does not take the others with it: they may have taken an hour. */
async function measure(names: readonly GroupName[], context: Context) {
  const found: Found = {};
  const failures: string[] = [];
  for (const name of names) {
    context.signal.throwIfAborted();
    try {
      Object.assign(found, { [name]: await GROUPS[name].run(context) });
    } catch (error) {
      if (!(error instanceof KandinskyError)) throw error;
      failures.push(`${name} failed: ${error.message}`);
      context.tell(failures.at(-1)!);
    }
  }
  return { found, failures };
}

function withSteps(scale: Scale, text: string | undefined): Scale {
  if (text === undefined) return scale;
  const steps = Number(text);
  if (Number.isInteger(steps) && steps > 0) return { ...scale, full: { ...scale.full, steps } };
  throw new KandinskyError("option_invalid", {
    what: "cannot use this value",
    where: "--steps",
    seen: JSON.stringify(text),
    wanted: "a whole number from 1",
  });
}

function memoryOf(text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== undefined && bytes > 0) return bytes;
  throw new KandinskyError("option_invalid", {
    what: "cannot use this value",
    where: "--memory",
    seen: JSON.stringify(text),
    wanted: "bytes with a unit, such as 8G, 8GB or 500M",
  });
}

function groupsNamed(positionals: readonly string[]): GroupName[] {
  const all = Object.keys(GROUPS) as GroupName[];
  const unknown = positionals.find((name) => !all.includes(name as GroupName));
  if (unknown === undefined)
    return all.filter((name) =>
      positionals.length === 0 ? GROUPS[name].onlyByName !== true : positionals.includes(name),
    );
  const close = nearest(unknown, all);
  throw new KandinskyError("option_unknown", {
    what: "cannot measure this group",
    seen: unknown,
    wanted: all.join(", "),
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}

/** What all files of a folder take; nothing where there is none. */
async function bytesIn(folder: string): Promise<number> {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const stats = await Promise.all(names.map((name) => stat(join(folder, name))));
  return stats.reduce((sum, one) => sum + (one.isFile() ? one.size : 0), 0);
}

/** Says how much disk the run takes, and throws `disk_full` before anything is written where there is less. */
async function checkSpace(folder: string, bytes: number, tell: (line: string) => void): Promise<void> {
  const { bavail, bsize, type } = await statfs(folder);
  const free = bavail * bsize;
  tell(`${folder}: takes ${(bytes / 1e9).toFixed(1)} GB of ${(free / 1e9).toFixed(1)} GB free while it runs`);
  if (free >= bytes + SPARE_BYTES && !(type === TMPFS && bytes > TMPFS_BYTES)) return;
  throw new KandinskyError("disk_full", {
    what: "cannot write the weights",
    where: folder,
    seen: `${(free / 1e9).toFixed(1)} GB free${type === TMPFS ? ", in memory" : ""}`,
    wanted: `${((bytes + SPARE_BYTES) / 1e9).toFixed(1)} GB on a disk`,
    hint: "name another folder with --folder, or fewer groups",
  });
}

/** Linux's number for file systems that lie in memory, which the models need themselves. */
const TMPFS = 0x01021994;
const TMPFS_BYTES = 1e9;

interface Heading {
  readonly scale: string;
  readonly seed: number;
  readonly threads: number;
  readonly machine: ReturnType<typeof describeMachine> & Readonly<Record<string, string | number>>;
}

function headline({ scale, seed, threads, machine }: Heading): string {
  const { processor, cores, memoryBytes, node, system, ...peer } = machine;
  const versions = Object.entries({ node, ...peer }).map((version) => version.join(" "));
  const memory = `${Math.round(memoryBytes / 1e9)} GB`;
  return `${processor}, ${threads} threads on ${cores} cores, ${memory}, ${system}, ${versions.join(", ")}; ${scale} size, seed ${seed}`;
}

function describeMachine() {
  return {
    processor: cpus()[0]?.model ?? "unknown processor",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    node: process.versions.node,
    system: `${process.platform} ${process.arch}`,
  };
}

/** Says what went wrong; the exit code. */
function explain(error: unknown, signal: AbortSignal): number {
  if (signal.aborted) {
    console.error("cancelled");
    return CANCELLED;
  }
  const isArgument = error instanceof TypeError && "code" in error;
  if (!(error instanceof KandinskyError) && !isArgument) throw error;
  console.error(isArgument ? `${error.message}\n${USAGE}` : error.message);
  return isArgument || (error instanceof KandinskyError && error.fault === "user") ? MISTAKE : FAILED;
}

const controller = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => controller.abort());
try {
  await main(process.argv.slice(2), controller.signal);
} catch (error) {
  process.exitCode = explain(error, controller.signal);
}
