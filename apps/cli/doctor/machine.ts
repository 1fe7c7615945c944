import { readFile, statfs } from "node:fs/promises";
import { createRequire } from "node:module";
import { availableParallelism, cpus, release } from "node:os";
import { memoryRoom } from "../../../src/runtime/mod.ts";

/** What there is to know of this machine without trying anything. */
export interface MachineReport {
  readonly node: string;
  readonly system: string;
  readonly processor: string;
  readonly cores: number;
  /** Vector extensions that matter here; undefined where the system does not tell. */
  readonly vector: readonly string[] | undefined;
  readonly memory: { readonly free: number; readonly total: number };
  /** Version of ONNX Runtime. */
  readonly runtime: string;
}

export async function describeMachine(): Promise<MachineReport> {
  const room = await memoryRoom();
  return {
    node: process.version,
    system: `${process.platform} ${process.arch}, ${release()}`,
    processor: cpus()[0]?.model.trim() || process.arch,
    cores: availableParallelism(),
    vector: await vectorExtensions(),
    memory: { free: room.freeBytes, total: room.totalBytes },
    runtime: await runtimeVersion(),
  };
}

const VECTOR =
  /^(avx|avx2|fma|f16c|avx512f|avx512bw|avx512_vnni|avx512_bf16|avx512_fp16|avx_vnni|amx_tile|amx_int8|amx_bf16|asimd|asimdhp|asimddp|sve|sve2|i8mm|bf16)$/;

/** Flags of the first processor in /proc/cpuinfo, which Linux alone has. */
async function vectorExtensions(): Promise<string[] | undefined> {
  const text = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1];
  return flags?.split(/\s+/).filter((flag) => VECTOR.test(flag));
}

async function runtimeVersion(): Promise<string> {
  const path = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
  const { version } = JSON.parse(await readFile(path, "utf8")) as { version: string };
  return version;
}

/** Bytes of the disk that holds a folder. */
export async function describeDisk(folder: string): Promise<{ free: number; total: number }> {
  const { bavail, blocks, bsize } = await statfs(folder);
  return { free: bavail * bsize, total: blocks * bsize };
}
