import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { KandinskyError } from "../base/mod.ts";
import { type ReadPicture, readPicture } from "../image/mod.ts";
import type { Job } from "./job.ts";
import type { ParsedRequest } from "./request.ts";
import type { KnownPictures } from "./resolve.ts";

/** Gives the bytes of a file that a request names. */
export type OpenFile = (name: string) => Promise<Uint8Array>;

/** The bytes of a file on this machine; throws `file_missing`. */
export const openLocalFile: OpenFile = async (name) => {
  try {
    return await readFile(name);
  } catch (cause) {
    const what = "cannot read the picture";
    throw new KandinskyError("file_missing", { what, where: name, hint: "check the name" }, { cause });
  }
};

/** A picture that a request names, read. */
export interface Input extends ReadPicture {
  readonly file: string;
  readonly sha256: string;
}

/** The pictures of a request, by its fields. */
export type Inputs = Readonly<Partial<Record<"image", Input>>>;

/**
 * Reads the pictures that a request or job names. Throws as `open` and `readPicture` do, and `picture_unfit` where a
 * file is not the one whose hash is given.
 */
export async function openInputs(request: ParsedRequest | Job, open: OpenFile): Promise<Inputs> {
  return "image" in request ? { image: await openInput(request.image, open) } : {};
}

async function openInput(
  source: { readonly file: string; readonly sha256?: string | undefined },
  open: OpenFile,
): Promise<Input> {
  const { file } = source;
  const bytes = await open(file);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (source.sha256 !== undefined && source.sha256 !== sha256) {
    throw new KandinskyError("picture_unfit", {
      what: "the picture is not the one that this was made from",
      where: file,
      seen: `SHA-256 ${sha256.slice(0, 12)}`,
      wanted: source.sha256.slice(0, 12),
      hint: "put the old file back, or begin anew",
    });
  }
  return { ...(await readPicture(bytes, file)), file, sha256 };
}

/** What of the inputs decides how a request is filled in. */
export function knownPictures({ image }: Inputs): KnownPictures {
  if (image === undefined) return {};
  const { file, sha256, picture } = image;
  return { image: { file, sha256, width: picture.width, height: picture.height } };
}
