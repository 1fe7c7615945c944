import sharp, { type Sharp } from "sharp";
import { KandinskyError } from "../base/mod.ts";
import { addMetadata, type PictureFormat } from "./metadata.ts";
import type { PictureMetadata } from "./parameters.ts";
import type { Picture } from "./picture.ts";

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

/**
 * The pixels of a PNG, JPEG, WebP or any other file that sharp reads: turned upright as EXIF asks, in sRGB,
 * transparent parts on white. `where` names the file in errors. Throws `file_corrupt`.
 */
export async function decodePicture(bytes: Uint8Array, where = "the picture"): Promise<Picture> {
  try {
    const { data, info } = await sharp(bytes)
      .autoOrient()
      .flatten({ background: "white" })
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, data: new Uint8Array(data) };
  } catch (cause) {
    throw new KandinskyError(
      "file_corrupt",
      {
        what: "cannot read the picture",
        where,
        seen: bytes.length === 0 ? "an empty file" : cause instanceof Error ? cause.message : String(cause),
        wanted: "an undamaged PNG, JPEG or WebP file",
      },
      { cause },
    );
  }
}

/** The picture at another size, by the Lanczos kernel. */
export async function resizePicture(picture: Picture, width: number, height: number): Promise<Picture> {
  const data = await fromPixels(picture).resize({ width, height, fit: "fill" }).raw().toBuffer();
  return { width, height, data: new Uint8Array(data) };
}

function fromPixels({ width, height, data }: Picture): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}
