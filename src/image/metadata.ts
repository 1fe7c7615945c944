import readExif from "exif-reader";
import { KandinskyError } from "../base/mod.ts";
import { decodeUserComment, encodeExif } from "./exif.ts";
import { addJpegExif, isJpeg, readJpegExif } from "./jpeg.ts";
import { formatParameters, type PictureMetadata } from "./parameters.ts";
import type { Picture } from "./picture.ts";
import { addPngText, isPng, readPngText } from "./png-text.node.ts";
import { addWebpExif, isWebp, readWebpExif } from "./webp.ts";

/** A format that pictures are written in. */
export type PictureFormat = "png" | "webp" | "jpeg";

/** The two texts of a picture: what web UIs read, and everything needed to make the picture again. */
interface Texts {
  readonly parameters: string;
  readonly json: string;
}

type Found = { readonly [K in keyof Texts]?: Texts[K] | undefined };

type PictureSize = Pick<Picture, "width" | "height">;

interface Container {
  readonly is: (bytes: Uint8Array) => boolean;
  readonly add: (bytes: Uint8Array, texts: Texts, size: PictureSize) => Uint8Array;
  readonly read: (bytes: Uint8Array, where: string) => Found;
}

/** Keyword of our PNG chunk, and the prefix of our JSON in EXIF's ImageDescription. */
const KEYWORD = "kandinsky";

const CONTAINERS: Readonly<Record<PictureFormat, Container>> = {
  png: {
    is: isPng,
    add: (bytes, texts) =>
      addPngText(bytes, [
        ["parameters", texts.parameters],
        [KEYWORD, texts.json],
      ]),
    read: (bytes, where) => {
      const texts = readPngText(bytes, where);
      return { parameters: texts.get("parameters"), json: texts.get(KEYWORD) };
    },
  },
  jpeg: {
    is: isJpeg,
    add: (bytes, texts) => addJpegExif(bytes, exifOf(texts)),
    read: (bytes, where) => textsOf(readJpegExif(bytes, where), where),
  },
  webp: {
    is: isWebp,
    add: (bytes, texts, size) => addWebpExif(bytes, exifOf(texts), size),
    read: (bytes, where) => textsOf(readWebpExif(bytes, where), where),
  },
};

/** The encoded picture with its settings written in; see `README.md` for where each format keeps them. */
export function addMetadata(
  bytes: Uint8Array,
  format: PictureFormat,
  metadata: PictureMetadata,
  size: PictureSize,
): Uint8Array {
  const texts = { parameters: formatParameters(metadata), json: JSON.stringify(metadata.json) };
  return CONTAINERS[format].add(bytes, texts, size);
}

/**
 * The settings in a PNG, JPEG or WebP file: the `parameters` text of any tool that writes one, and our JSON.
 * `where` names the file in errors. Throws `file_corrupt` for a damaged file or one of another kind, and
 * `input_missing` for a picture that holds neither.
 */
export function readMetadata(
  bytes: Uint8Array,
  where = "the picture",
): { parameters?: string; json?: unknown } {
  const container = Object.values(CONTAINERS).find(({ is }) => is(bytes));
  if (container === undefined) {
    throw new KandinskyError("file_corrupt", {
      what: "cannot read the settings",
      where,
      seen: bytes.length === 0 ? "an empty file" : "neither a PNG, a JPEG nor a WebP file",
      hint: "give a picture that `kandinsky generate` wrote",
    });
  }
  const { parameters, json } = container.read(bytes, where);
  if (parameters === undefined && json === undefined) {
    throw new KandinskyError("input_missing", {
      what: "the picture holds no settings",
      where,
      hint: "messengers and editors remove them: give the file as `kandinsky generate` wrote it",
    });
  }
  return {
    ...(parameters === undefined ? {} : { parameters }),
    ...(json === undefined ? {} : { json: parse(json, where) }),
  };
}

/** The settings as the EXIF block (TIFF) in which JPEG and WebP keep them: animated WebP does so too. */
export function metadataExif(metadata: PictureMetadata): Uint8Array {
  return exifOf({ parameters: formatParameters(metadata), json: JSON.stringify(metadata.json) });
}

/** ImageDescription is ASCII by definition, so other characters are escaped as JSON allows. */
function exifOf({ parameters, json }: Texts): Uint8Array {
  const escaped = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return encodeExif(`${KEYWORD}:${json.replace(/[\u007f-\uffff]/g, escaped)}`, parameters);
}

function textsOf(block: Uint8Array | undefined, where: string): Found {
  if (block === undefined) return {};
  try {
    const exif = readExif(Buffer.from(block));
    const description = exif.Image?.ImageDescription;
    const comment: unknown = exif.Photo?.UserComment;
    return {
      json: description?.startsWith(`${KEYWORD}:`) ? description.slice(KEYWORD.length + 1) : undefined,
      parameters: comment instanceof Uint8Array ? decodeUserComment(comment) : undefined,
    };
  } catch (cause) {
    throw new KandinskyError(
      "file_corrupt",
      {
        what: "the picture's EXIF block is damaged",
        where,
        hint: "copy the file again from where it came from",
      },
      { cause },
    );
  }
}

function parse(json: string, where: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new KandinskyError(
      "file_corrupt",
      { what: "the picture's settings are damaged", where, seen: json.slice(0, 60), wanted: "JSON" },
      { cause },
    );
  }
}
