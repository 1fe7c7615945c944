import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../../../src/base/mod.ts";
import { readPicture } from "../../../src/image/mod.ts";
import type { AlphaMap } from "../../../src/masks/mod.ts";

/** Formats that can be transparent. */
const PICTURES = /\.(png|webp|gif|tiff?|avif)$/i;

/** The alpha maps of pictures, given one by one or as folders of them; the path is the id. */
export async function readObjects(paths: readonly string[]): Promise<AlphaMap[]> {
  const files = (await Promise.all(paths.map(filesOf))).flat();
  return Promise.all(files.map(readAlpha));
}

async function filesOf(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    throw new KandinskyError("file_missing", { what: "cannot find the picture", where: path });
  }
  if (!found.isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => PICTURES.test(name)).sort();
  if (names.length > 0) return names.map((name) => join(path, name));
  throw new KandinskyError("input_missing", {
    what: "the folder holds no pictures",
    where: path,
    wanted: "pictures with transparent background",
  });
}

async function readAlpha(file: string): Promise<AlphaMap> {
  const { picture, alpha } = await readPicture(await readFile(file), file);
  if (alpha !== undefined) return { id: file, width: picture.width, height: picture.height, data: alpha };
  throw new KandinskyError("input_missing", {
    what: "this picture shows no object",
    where: file,
    seen: "no transparency",
    hint: "leave it out, or give pictures whose background is transparent",
  });
}
