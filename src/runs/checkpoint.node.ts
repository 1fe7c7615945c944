import { createHash, randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, readFile, rename, rm, statfs, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { KandinskyError, product } from "../base/mod.ts";
import { type NamedTensor, readSafetensorsHeader, readTensor, writeSafetensors } from "../checkpoint/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import type { TrainingState } from "../train/mod.ts";
import { firstDifference } from "./config.ts";

/** Where a run stands, beside its tensors. */
export interface RunPosition {
  /** Updates of the run so far; the optimiser counts its own, which begin anew where moments were lost. */
  readonly update: number;
  /** Where the data of the present stage goes on. */
  readonly cursor: unknown;
  /** Mean loss since the checkpoint before: what "best" goes by. */
  readonly loss: number;
}

/** A checkpoint that was found whole. */
export interface FoundCheckpoint extends RunPosition {
  readonly folder: string;
  readonly state: TrainingState;
  /** Newer ones that were damaged, with the reason. */
  readonly damaged: readonly string[];
}

export interface CheckpointRequest {
  readonly folder: string;
  /** What a run that goes on must agree on: plain data. */
  readonly essentials: unknown;
  /** Free bytes of a folder's disk; tests hand in one that is full. */
  readonly freeBytes?: (folder: string) => Promise<number>;
}

const TENSORS = "state.safetensors";
const MARKER = "checkpoint.json";
const NAME = /^update-(\d{9})$/;

const FILE = z.object({
  format: z.literal(1),
  update: z.int().min(0),
  optimizerUpdates: z.int().min(0),
  samples: z.int().min(0),
  cursor: z.json(),
  loss: z.number(),
  averages: z.int().min(0),
  sha256: z.string(),
  essentials: z.json(),
});

type CheckpointFile = z.output<typeof FILE>;

/**
 * Writes a checkpoint whole or not at all: into a folder of another name, to the disk, the marker with the hash last,
 * then renamed. Only then are old ones removed, but for the last `keep` and the one of the lowest loss. Returns its
 * folder. Throws `disk_full` before anything is written where the disk has too little room.
 */
export async function saveCheckpoint(
  { folder, essentials, freeBytes = freeBytesOf }: CheckpointRequest,
  state: Required<TrainingState>,
  position: RunPosition,
  keep: number,
): Promise<string> {
  await mkdir(folder, { recursive: true });
  checkRoom(folder, await freeBytes(folder), bytesOf(state));
  const name = `update-${String(position.update).padStart(9, "0")}`;
  const temporary = join(folder, `.${name}.${randomUUID()}.tmp`);
  await mkdir(temporary);
  try {
    const tensors = join(temporary, TENSORS);
    await writeSafetensors(tensors, tensorsOf(state), { format: "kandinsky training state" });
    const marker: CheckpointFile = {
      format: 1,
      update: position.update,
      optimizerUpdates: state.updates,
      samples: state.samples,
      cursor: position.cursor as CheckpointFile["cursor"],
      loss: position.loss,
      averages: state.averages.length,
      sha256: await hashOf(tensors),
      essentials: essentials as CheckpointFile["essentials"],
    };
    await writeFile(join(temporary, MARKER), JSON.stringify(marker, undefined, 1), { flush: true });
    const target = join(folder, name);
    await rm(target, { recursive: true, force: true });
    await rename(temporary, target);
    await syncFolder(folder);
    await removeOld(folder, keep);
    return target;
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw error;
  }
}

/**
 * The newest whole checkpoint; damaged ones are passed over and told of. Undefined where there is none.
 * Throws `option_invalid` where it belongs to another config, naming the first difference.
 */
export async function loadCheckpoint(request: CheckpointRequest): Promise<FoundCheckpoint | undefined> {
  const damaged: string[] = [];
  for (const { folder } of (await listed(request.folder)).reverse()) {
    const file = await readMarker(folder).catch((error: Error) => error);
    if (file instanceof Error) {
      damaged.push(`${folder}: ${file.message}`);
      continue;
    }
    const tensors = join(folder, TENSORS);
    const seen = await hashOf(tensors).catch((error: Error) => error.message);
    if (seen !== file.sha256) {
      damaged.push(`${tensors}: sha256 ${seen}, wanted ${file.sha256}`);
      continue;
    }
    const different = firstDifference(file.essentials, request.essentials);
    if (different !== undefined) {
      throw new KandinskyError("option_invalid", {
        what: "the checkpoint belongs to another config",
        where: `${folder}, ${different}`,
        seen: JSON.stringify(at(file.essentials, different)) ?? "nothing",
        wanted: JSON.stringify(at(request.essentials, different)) ?? "nothing",
        hint: "go on with the config that it was made with, or name another folder",
      });
    }
    const { update, cursor, loss } = file;
    return { folder, update, cursor, loss, damaged, state: await readState(tensors, file) };
  }
  if (damaged.length === 0) return undefined;
  throw new KandinskyError("file_corrupt", {
    what: "no checkpoint is whole",
    where: request.folder,
    seen: damaged.join("; "),
    hint: "begin anew in another folder",
  });
}

/** Whether a run has left a checkpoint in a folder. */
export async function hasCheckpoint(folder: string): Promise<boolean> {
  return (await listed(folder)).length > 0;
}

async function listed(folder: string): Promise<{ readonly folder: string; readonly update: number }[]> {
  const names = await readdir(folder).catch(() => []);
  return names
    .flatMap((name) => {
      const match = name.match(NAME);
      return match === null ? [] : [{ folder: join(folder, name), update: Number(match[1]) }];
    })
    .sort((a, b) => a.update - b.update);
}

async function readMarker(folder: string): Promise<CheckpointFile> {
  return FILE.parse(JSON.parse(await readFile(join(folder, MARKER), "utf8")));
}

async function removeOld(folder: string, keep: number): Promise<void> {
  const all = await listed(folder);
  const losses = await Promise.all(
    all.map(async ({ folder: one }) => (await readMarker(one).catch(() => undefined))?.loss ?? Infinity),
  );
  const best = losses.indexOf(Math.min(...losses));
  for (const [i, { folder: one }] of all.entries()) {
    if (i >= all.length - keep || i === best) continue;
    await rm(one, { recursive: true, force: true });
  }
  // Left by a process that was killed while it wrote.
  for (const name of await readdir(folder)) {
    if (name.endsWith(".tmp")) await rm(join(folder, name), { recursive: true, force: true });
  }
}

function tensorsOf({ parameters, first, second, averages }: Required<TrainingState>): NamedTensor[] {
  const groups = [
    ["parameters", parameters],
    ["first", first],
    ["second", second],
    ...averages.map((values, i) => [`average/${i}`, values] as const),
  ] as const;
  return groups.flatMap(([group, values]) =>
    [...values].map(([name, tensor]) => ({ name: `${group}/${name}`, tensor })),
  );
}

async function readState(file: string, marker: CheckpointFile): Promise<TrainingState> {
  const { entries } = await readSafetensorsHeader(file);
  const group = async (prefix: string) => {
    const values = new Map<string, Tensor>();
    for (const [name, entry] of entries) {
      if (name.startsWith(`${prefix}/`)) values.set(name.slice(prefix.length + 1), await readTensor(entry));
    }
    return values;
  };
  const averages: ReadonlyMap<string, Tensor>[] = [];
  for (let i = 0; i < marker.averages; i++) averages.push(await group(`average/${i}`));
  return {
    updates: marker.optimizerUpdates,
    samples: marker.samples,
    parameters: await group("parameters"),
    first: await group("first"),
    second: await group("second"),
    averages,
  };
}

function bytesOf({ parameters, first, second, averages }: Required<TrainingState>): number {
  const sizes = [parameters, first, second, ...averages].flatMap((values) =>
    [...values.values()].map(({ shape }) => 4 * product(shape)),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Beside the checkpoint itself, so that the log and a sheet still fit. */
const SPARE_BYTES = 64e6;

async function freeBytesOf(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function checkRoom(folder: string, free: number, bytes: number): void {
  if (free >= bytes + SPARE_BYTES) return;
  throw new KandinskyError("disk_full", {
    what: "no room for a checkpoint",
    where: folder,
    seen: `${Math.floor(free / 1e6)} MB free`,
    wanted: `${Math.ceil((bytes + SPARE_BYTES) / 1e6)} MB`,
    hint: "free some space and go on with --resume; the checkpoints before are whole",
  });
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

/** So that the new name itself is on the disk; Windows cannot open folders, and needs no such call. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder).catch(() => undefined);
  if (handle === undefined) return;
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function at(value: unknown, path: string): unknown {
  return path
    .split(".")
    .reduce((inner, key) => (inner as Record<string, unknown> | undefined)?.[key], value as unknown);
}
