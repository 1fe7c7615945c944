import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { KandinskyError } from "../base/mod.ts";
import { holeBounds, type ReadPicture, readPicture, type SoftMask } from "../image/mod.ts";
import type { Notice } from "./events.ts";
import { makeHole } from "./hole.ts";
import type { Job, KnownFile } from "./job.ts";
import type { ParsedRequest } from "./request.ts";
import type { KnownPictures } from "./resolve.ts";

/** Gives the bytes of a file that a request names, with the hash that they should have where it is known. */
export type OpenFile = (name: string, sha256?: string) => Promise<Uint8Array>;

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

/** The pictures of a request, and what was made of them before any choice. */
export interface Inputs {
  readonly image?: Input;
  /** The file of the mask. */
  readonly mask?: Input;
  /** What is repainted. */
  readonly hole?: SoftMask;
  readonly notices: readonly Notice[];
}

/**
 * Reads the pictures that a request or job names. Throws as `open` and `readPicture` do, and `picture_unfit` where a
 * file is not the one whose hash is given.
 */
export async function openInputs(request: ParsedRequest | Job, open: OpenFile): Promise<Inputs> {
  if (!("image" in request)) return { notices: [] };
  const image = await openInput(request.image, open);
  if (!("mask" in request)) return { image, notices: [] };
  const file = request.mask.from === "file" ? await openInput(request.mask, open) : undefined;
  const { mask: hole, notices } = makeHole(request, image, file, file?.file ?? image.file);
  return { image, ...(file === undefined ? {} : { mask: file }), hole, notices };
}

async function openInput(
  source: { readonly file: string; readonly sha256?: string | undefined },
  open: OpenFile,
): Promise<Input> {
  const { file } = source;
  const bytes = await open(file, source.sha256);
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
export function knownPictures({ image, mask, hole }: Inputs): KnownPictures {
  const bounds = hole === undefined ? undefined : holeBounds(hole);
  return {
    ...(image === undefined
      ? {}
      : { image: { ...knownFile(image), width: image.picture.width, height: image.picture.height } }),
    ...(mask === undefined ? {} : { mask: knownFile(mask) }),
    ...(bounds === undefined ? {} : { hole: bounds }),
  };
}

function knownFile({ file, sha256 }: Input): KnownFile {
  return { file, sha256 };
}
