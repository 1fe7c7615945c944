/** A stretch of a file: the whole of it in a plain folder, a member in a shard. */
export interface Stretch {
  readonly file: string;
  readonly offset: number;
  readonly size: number;
}

/** A picture with what goes with it, as found; nothing of it has been read. */
export interface Sample {
  /** Where it is, for messages: the file's path below the folder, or `shard:key`. */
  readonly key: string;
  readonly picture: Stretch;
  /** Caption files by the rest of their name behind the key: `txt`, `ru.txt`, `json`. */
  readonly texts: Readonly<Record<string, Stretch>>;
}

/** Extensions that are taken for pictures; what is in the file decides how it is read. */
export const PICTURE_EXTENSIONS: ReadonlySet<string> = new Set([
  "jpg",
  "jpeg",
  "png",
  "webp",
  "avif",
  "tif",
  "tiff",
  "gif",
]);

/** Rests of a name that hold captions. */
export function isText(extension: string): boolean {
  return /^([a-z]{2,3}\.)?txt$|^json$/.test(extension);
}

/** Largest picture file, bytes: a shard or folder of photographs has none near it. */
export const MAX_PICTURE_BYTES = 256 * 2 ** 20;
/** Largest caption file, bytes. */
export const MAX_TEXT_BYTES = 2 ** 20;
