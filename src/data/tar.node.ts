import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { basename } from "node:path";
import { extract, type Header } from "tar-stream";
import { KandinskyError } from "../base/mod.ts";
import {
  isText,
  MAX_PICTURE_BYTES,
  MAX_TEXT_BYTES,
  PICTURE_EXTENSIONS,
  type Sample,
  type Stretch,
} from "./sample.ts";

/** Members of one shard; WebDataset's own rule of thumb is ten thousand samples. */
const MAX_MEMBERS = 4_000_000;
const BLOCK = 512;

/**
 * The samples of a WebDataset shard: consecutive members whose names agree up to the first dot of the last part
 * are one sample, the rest of the name says what a member is (webdataset.github.io). Reads the shard once from
 * end to end and keeps places only. Throws `file_missing`; `file_corrupt` where the shard is cut short, is no tar
 * or parts a sample; `file_unsafe` for links, devices, names that lead elsewhere and members over the caps.
 */
export async function listShard(path: string): Promise<Sample[]> {
  const about = await stat(path).catch((cause: unknown) => {
    throw new KandinskyError("file_missing", { what: "cannot open the shard", where: path }, { cause });
  });
  const groups = new Map<string, Map<string, Stretch>>();
  let last: string | undefined;
  let members = 0;
  let end = 0;
  const unpack = extract();
  const input = createReadStream(path, { highWaterMark: 2 ** 20 });
  input.on("error", (error) => unpack.destroy(error));
  input.pipe(unpack);
  try {
    for await (const entry of unpack) {
      const { header } = entry;
      // Where the data begins. The library's types leave it out; `offset` is where the header does.
      const { byteOffset } = header as Header & { readonly byteOffset: number };
      end = byteOffset + Math.ceil(header.size / BLOCK) * BLOCK;
      members++;
      checkMember(path, header, members);
      if (header.type === "file" || header.type === "contiguous-file") {
        const { key, extension } = nameParts(header.name);
        if (groups.has(key) && last !== key) throw parted(path, key);
        last = key;
        const fields = groups.get(key) ?? new Map<string, Stretch>();
        groups.set(key, fields.set(extension, { file: path, offset: byteOffset, size: header.size }));
      }
      entry.resume();
    }
  } catch (cause) {
    if (cause instanceof KandinskyError) throw cause;
    throw describe(path, about.size, groups.size, last, cause);
  } finally {
    input.destroy();
  }
  // A shard cut exactly between two members would pass for a whole one without its closing zero blocks.
  if (about.size < end + BLOCK) throw describe(path, about.size, groups.size, last, undefined);
  return [...groups].flatMap(([key, fields]) => toSample(`${basename(path)}:${key}`, fields));
}

function toSample(key: string, fields: ReadonlyMap<string, Stretch>): Sample[] {
  const picture = [...fields].find(([extension]) => PICTURE_EXTENSIONS.has(extension));
  if (picture === undefined) return [];
  return [
    { key, picture: picture[1], texts: Object.fromEntries([...fields].filter(([name]) => isText(name))) },
  ];
}

/** The name up to the first dot of its last part, and what is behind that dot, in small letters. */
function nameParts(name: string): { key: string; extension: string } {
  const slash = name.lastIndexOf("/") + 1;
  const dot = name.indexOf(".", slash);
  if (dot < 0) return { key: name, extension: "" };
  return { key: name.slice(0, dot), extension: name.slice(dot + 1).toLowerCase() };
}

function checkMember(path: string, { name, type, size }: Header, members: number): void {
  const refuse = (seen: string, wanted: string) =>
    new KandinskyError("file_unsafe", {
      what: "the shard has a member that is not taken",
      where: path,
      seen,
      wanted,
    });
  if (!["file", "contiguous-file", "directory"].includes(type)) {
    throw refuse(`"${name}", a ${type}`, "files and folders only");
  }
  if (/^([/\\]|[A-Za-z]:)|\\|\0/.test(name) || name.split("/").includes("..")) {
    throw refuse(`the name ${JSON.stringify(name)}`, "a relative name without ..");
  }
  const { extension } = nameParts(name);
  const cap = isText(extension) ? MAX_TEXT_BYTES : MAX_PICTURE_BYTES;
  const isRead = isText(extension) || PICTURE_EXTENSIONS.has(extension);
  if (isRead && size > cap) throw refuse(`"${name}" of ${size} bytes`, `at most ${cap}`);
  if (members > MAX_MEMBERS) throw refuse(`more than ${MAX_MEMBERS} members`, "smaller shards");
}

function parted(path: string, key: string): KandinskyError {
  return new KandinskyError("file_corrupt", {
    what: "the members of a sample do not lie together",
    where: path,
    seen: `"${key}" again after other samples`,
    wanted: "a shard in the order of its keys",
    hint: "pack it again, for instance with tar --sort=name",
  });
}

function describe(
  path: string,
  bytes: number,
  samples: number,
  last: string | undefined,
  cause: unknown,
): KandinskyError {
  const isCut = cause === undefined || /unexpected end/i.test(String(cause));
  return new KandinskyError(
    "file_corrupt",
    {
      what: isCut ? "the shard is cut short" : "cannot read the shard",
      where: path,
      seen: `${bytes} bytes${last === undefined ? "" : `, ${samples} samples, the last "${last}"`}${isCut ? "" : `: ${cause instanceof Error ? cause.message : cause}`}`,
      wanted: "a whole tar file with its closing zero blocks",
      hint: "fetch it again, or leave it out",
    },
    { cause },
  );
}
