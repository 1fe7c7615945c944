import { cp, mkdtemp, realpath, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { KandinskyError } from "../base/mod.ts";

/** Golden data of the repository; this file runs as dist/src/checkpoint/test-support.js. */
export const GOLDEN = fileURLToPath(new URL("../../../golden/", import.meta.url));

/** A fresh folder, by its real path, that goes with the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-test-")));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A writable copy of a golden folder. */
export async function copyGolden(name: string, folder?: string): Promise<string> {
  const target = folder ?? join(await temporaryFolder(), "copy");
  await cp(join(GOLDEN, name), target, { recursive: true });
  return target;
}

/** The KandinskyError that the work ends with; any other outcome fails the test. */
export async function errorOf(work: () => unknown): Promise<KandinskyError> {
  try {
    await work();
  } catch (error) {
    if (error instanceof KandinskyError) return error;
    throw error;
  }
  throw new Error("no error was thrown");
}
