import { mkdir, readdir } from "node:fs/promises";
import { KandinskyError } from "../../src/base/mod.ts";

/** Makes the folder; one that has something in it already is not mixed up with what is to come. */
export async function takeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    if ((await readdir(folder)).length === 0) return;
  } catch (cause) {
    throw new KandinskyError(
      "output_unwritable",
      {
        what: "cannot make the output folder",
        where: folder,
        seen: cause instanceof Error && "code" in cause ? String(cause.code) : String(cause),
        hint: "name another folder",
      },
      { cause },
    );
  }
  throw new KandinskyError("output_exists", {
    what: "the output folder is not empty",
    where: folder,
    hint: "name a new folder",
  });
}
