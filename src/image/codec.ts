import sharp, { type Metadata, type Sharp } from "sharp";
import { KandinskyError } from "../base/mod.ts";
import { addMetadata, type PictureFormat } from "./metadata.ts";
import type { PictureMetadata } from "./parameters.ts";
import type { Picture } from "./picture.ts";
import { isAnimatedPng } from "./png-text.node.ts";

/** How the pixels of each format are written, and the longest side it can hold. */
const FORMATS: Readonly<Record<PictureFormat, { limit: number; write: (image: Sharp) => Sharp }>> = {
  png: { limit: 2 ** 31 - 1, write: (image) => image.png({ compressionLevel: 6, adaptiveFiltering: true }) },
  webp: { limit: 16383, write: (image) => image.webp({ quality: 92, smartSubsample: true }) },
  jpeg: { limit: 65535, write: (image) => image.jpeg({ quality: 95, chromaSubsampling: "4:4:4" }) },
};

/**
 * The bytes of an image file with its settings inside; equal input gives equal bytes. PNG keeps every pixel,
 * WebP and JPEG lose a little. Throws `option_invalid` where the format cannot hold the size or the settings.
 */
export async function encodePicture(
  picture: Picture,
  format: PictureFormat,
  metadata: PictureMetadata,
): Promise<Uint8Array> {
  return addMetadata(await encodePixels(picture, format), format, metadata, picture);
}

/** As `encodePicture`, without settings: for previews. */
export async function encodePixels(picture: Picture, format: PictureFormat): Promise<Uint8Array> {
  const { limit, write } = FORMATS[format];
  if (Math.max(picture.width, picture.height) > limit) {
    throw new KandinskyError("option_invalid", {
      what: `the picture is too large for ${format}`,
      seen: `${picture.width}x${picture.height}`,
      wanted: `at most ${limit} pixels a side`,
      hint: "use the format png",
    });
  }
  return write(fromPixels(picture)).toBuffer();
}

/** A picture from a file, and how opaque it is where the file says so. */
export interface ReadPicture {
  readonly picture: Picture;
  /** One byte a pixel, 0 transparent to 255 opaque; absent where all is opaque. */
  readonly alpha?: Uint8Array;
}

/**
 * The pixels of a PNG, JPEG, WebP, GIF, TIFF or AVIF file: turned upright as EXIF asks, in sRGB of 8 bits, transparent
 * parts on white. `where` names the file in errors. Throws `file_corrupt`, and `picture_unfit` for animations and
 * for pictures of more than `MAX_PIXELS`, of which only the header is read.
 */
export async function readPicture(bytes: Uint8Array, where = "the picture"): Promise<ReadPicture> {
  try {
    checkHeader(await sharp(bytes, { limitInputPixels: false }).metadata(), bytes, where);
    const upright = sharp(bytes, { limitInputPixels: MAX_PIXELS }).autoOrient().toColourspace("srgb");
    const { data, info } = await upright.clone().ensureAlpha().raw({ depth: "uchar" }).toBuffer(WITH_INFO);
    const { width, height } = info;
    const alpha = Uint8Array.from({ length: width * height }, (_, i) => data[4 * i + 3]!);
    if (alpha.every((value) => value === 255)) {
      const rgb = new Uint8Array(3 * width * height);
      for (let i = 0; i < alpha.length; i++) rgb.set(data.subarray(4 * i, 4 * i + 3), 3 * i);
      return { picture: { width, height, data: rgb } };
    }
    const flat = upright.flatten({ background: "white" }).toColourspace("srgb").raw({ depth: "uchar" });
    return { picture: { width, height, data: new Uint8Array(await flat.toBuffer()) }, alpha };
  } catch (cause) {
    if (cause instanceof KandinskyError) throw cause;
    const seen = cause instanceof Error ? cause.message : String(cause);
    throw unreadable(where, bytes.length === 0 ? "an empty file" : seen, { cause });
  }
}

/** As `readPicture`, without its transparency. */
export async function decodePicture(bytes: Uint8Array, where?: string): Promise<Picture> {
  return (await readPicture(bytes, where)).picture;
}

/** Files of more pixels are refused: a few kilobytes can hold a picture that fills the memory. */
export const MAX_PIXELS = 1e8;

const WITH_INFO = { resolveWithObject: true } as const;

/** What a picture may be stored as; drawings and documents would have to be drawn first. */
const READABLE: ReadonlySet<string> = new Set(["png", "jpeg", "webp", "gif", "tiff", "heif"]);

function checkHeader(header: Metadata, bytes: Uint8Array, where: string): void {
  const { format, width, height, pages = 1 } = header;
  if (!READABLE.has(format)) throw unreadable(where, `a file of the kind ${format}`);
  if (width * height > MAX_PIXELS) {
    throw new KandinskyError("picture_unfit", {
      what: "the picture is too large",
      where,
      seen: `${width}x${height}`,
      wanted: `at most ${MAX_PIXELS / 1e6} million pixels`,
      hint: "make it smaller first",
    });
  }
  if (pages > 1 || isAnimatedPng(bytes)) {
    throw new KandinskyError("picture_unfit", {
      what: "the picture is animated",
      where,
      ...(pages > 1 ? { seen: `${pages} frames` } : {}),
      wanted: "one picture",
      hint: "save the frame that you mean as a picture of its own",
    });
  }
}

function unreadable(where: string, seen: string, options?: { cause: unknown }): KandinskyError {
  const wanted = "an undamaged PNG, JPEG or WebP file";
  return new KandinskyError(
    "file_corrupt",
    { what: "cannot read the picture", where, seen, wanted },
    options,
  );
}

/** The picture at another size, by the Lanczos kernel. */
export async function resizePicture(picture: Picture, width: number, height: number): Promise<Picture> {
  const data = await fromPixels(picture).resize({ width, height, fit: "fill" }).raw().toBuffer();
  return { width, height, data: new Uint8Array(data) };
}

function fromPixels({ width, height, data }: Picture): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}
