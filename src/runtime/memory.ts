import { readFile } from "node:fs/promises";
import { freemem, totalmem } from "node:os";
import { posix } from "node:path";
import type { Memory } from "./types.ts";

/** Memory that this process may still take. */
export interface MemoryRoom {
  /** What the system keeps only as a cache counts as free. */
  readonly freeBytes: number;
  /** Of the machine, or of the narrowest control group around this process. */
  readonly totalBytes: number;
}

/** A file's text; undefined where it is not there. */
type ReadText = (path: string) => Promise<string | undefined>;

/**
 * Room of the machine, or of the narrowest control group (version 1 or 2) around this process: containers and
 * batch systems give less than the machine has.
 */
export async function memoryRoom(read: ReadText = readText): Promise<MemoryRoom> {
  const info = (await read("/proc/meminfo")) ?? "";
  const bytes = (field: string) => kilobytes(info, field);
  const machine = {
    freeBytes: bytes("MemAvailable") ?? freemem(),
    totalBytes: bytes("MemTotal") ?? totalmem(),
  };
  const groups = await groupRooms(read);
  return {
    freeBytes: Math.min(machine.freeBytes, ...groups.map(({ freeBytes }) => freeBytes)),
    totalBytes: Math.min(machine.totalBytes, ...groups.map(({ totalBytes }) => totalBytes)),
  };
}

/** How the two versions of control groups call the same things. */
const VERSIONS = [
  {
    version: 1,
    fileSystem: "cgroup",
    isOurs: (controllers: string) => controllers.split(",").includes("memory"),
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cached: /^total_(?:in)?active_file (\d+)$/gm,
  },
  {
    version: 2,
    fileSystem: "cgroup2",
    isOurs: (controllers: string) => controllers === "",
    limit: "memory.max",
    usage: "memory.current",
    cached: /^(?:in)?active_file (\d+)$/gm,
  },
] as const;

/** A control group around this process that can limit memory. */
export interface MemoryGroup {
  readonly version: 1 | 2;
  /** Folders of the group and of all around it, as far as they are mounted, the outermost first. */
  readonly folders: readonly string[];
}

/** The control groups of this process, of each version that is mounted. */
export async function memoryGroups(read: ReadText = readText): Promise<MemoryGroup[]> {
  const own = ((await read("/proc/self/cgroup")) ?? "").split("\n").map((line) => line.split(":"));
  const mounts = ((await read("/proc/self/mountinfo")) ?? "").split("\n").map(mountOf);
  return VERSIONS.flatMap(({ version, fileSystem, isOurs }) => {
    const path = own
      .find(([, controllers]) => isOurs(controllers ?? "?"))
      ?.slice(2)
      .join(":");
    const mount = mounts.find(({ type, options }) => type === fileSystem && isOurs(options));
    return path === undefined || mount === undefined ? [] : [{ version, folders: foldersUp(mount, path) }];
  });
}

async function groupRooms(read: ReadText): Promise<MemoryRoom[]> {
  const rooms: MemoryRoom[] = [];
  for (const { version, folders } of await memoryGroups(read)) {
    const files = VERSIONS.find((one) => one.version === version)!;
    for (const folder of folders) {
      const one = async (file: string) => read(posix.join(folder, file));
      // Version 2 writes "max" where there is no limit.
      const limit = Number((await one(files.limit)) ?? Number.NaN);
      const usage = Number((await one(files.usage)) ?? Number.NaN);
      if (!Number.isFinite(limit) || !Number.isFinite(usage)) continue;
      const cached = [...((await one("memory.stat")) ?? "").matchAll(files.cached)];
      const kept = cached.reduce((sum, match) => sum + Number(match[1]), 0);
      rooms.push({ freeBytes: Math.max(0, limit - usage + kept), totalBytes: limit });
    }
  }
  return rooms;
}

interface Mount {
  /** The group that lies at `point`. */
  readonly root: string;
  readonly point: string;
  readonly type: string;
  /** Controllers, for version 1. */
  readonly options: string;
}

/** A line of /proc/self/mountinfo: `36 35 0:30 ROOT POINT flags - TYPE source OPTIONS`. */
function mountOf(line: string): Mount {
  const [before = "", after = ""] = line.split(" - ");
  const [, , , root = "", point = ""] = before.split(" ");
  const [type = "", , options = ""] = after.split(" ");
  const controllers = type === "cgroup2" ? "" : options;
  return { root, point, type, options: controllers };
}

/** The folders of a group and of all around it, as far as they are mounted. */
function foldersUp({ root, point }: Mount, path: string): string[] {
  const inside = path === root || path.startsWith(posix.join(root, "/")) ? path.slice(root.length) : "/";
  const names = inside.split("/").filter((name) => name !== "" && name !== "..");
  return Array.from({ length: names.length + 1 }, (_, i) => posix.join(point, ...names.slice(0, i)));
}

async function readText(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(() => undefined);
}

function kilobytes(text: string, field: string): number | undefined {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(text);
  return match === null ? undefined : Number(match[1]) * 1024;
}

/** Memory of a process on Linux; undefined elsewhere, and for one that has ended. */
export async function processMemory(pid: number): Promise<Memory | undefined> {
  const status = (await readText(`/proc/${pid}/status`)) ?? "";
  const privateBytes = kilobytes(status, "RssAnon");
  const peakBytes = kilobytes(status, "VmHWM");
  return privateBytes === undefined || peakBytes === undefined ? undefined : { privateBytes, peakBytes };
}

/** The most memory that a set of processes took. */
export interface MemoryPeak {
  /** Private memory (RssAnon) of all of them at one moment, at the moments looked at. */
  readonly privateBytes: number;
  /** Largest resident sizes (VmHWM), touched pages of mapped files included, added up. */
  readonly residentBytes: number;
}

const WATCH_MILLISECONDS = 100;

/** Looks at processes all the time; `peak` gives the most so far, undefined where the system does not tell. */
export function watchMemory(
  pids: () => readonly number[],
  milliseconds = WATCH_MILLISECONDS,
): { peak(): Promise<MemoryPeak | undefined>; stop(): void } {
  const resident = new Map<number, number>();
  let privateBytes = 0;
  const look = async () => {
    let together = 0;
    for (const pid of pids()) {
      const memory = await processMemory(pid);
      if (memory === undefined) continue;
      together += memory.privateBytes;
      resident.set(pid, memory.peakBytes);
    }
    privateBytes = Math.max(privateBytes, together);
  };
  const timer = setInterval(() => void look(), milliseconds);
  timer.unref();
  return {
    async peak() {
      await look();
      const sizes = [...resident.values()];
      if (sizes.length === 0) return undefined;
      return { privateBytes, residentBytes: sizes.reduce((sum, bytes) => sum + bytes, 0) };
    },
    stop: () => clearInterval(timer),
  };
}
