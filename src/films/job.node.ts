import { createHash, randomInt } from "node:crypto";
import { resolve } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { openDepth } from "../depth/mod.ts";
import { decodePicture, type Picture } from "../image/mod.ts";
import { checkSide, type LoraChoice, type ModelInfo, type OpenFile } from "../pipelines/mod.ts";
import { checkFilm, filmFormatOf } from "../video/mod.ts";
import { type FilmFile, filmOf, openFolder } from "./folder.node.ts";
import {
  depthOf,
  type FilmOperation,
  type FilmRequest,
  type ParsedFilm,
  parseFilm,
  type Source,
} from "./request.ts";
import type { FilmOutput } from "./write.node.ts";

/** A film with every choice made: what its folder tells. */
export interface FilmJob<O extends FilmOperation = FilmOperation> {
  readonly folder: string;
  readonly model: FilmFile["model"];
  readonly loras: FilmFile["loras"];
  readonly settings: ParsedFilm<O> & {
    readonly seed: number;
    readonly width: number;
    readonly height: number;
  };
  readonly film: FilmOutput & { readonly frameRate: number };
}

/** Where and how a film is made. */
export interface FilmPlace {
  readonly folder: string;
  readonly film: FilmOutput & { readonly frameRate: number };
  readonly info: ModelInfo;
  readonly loras: readonly LoraChoice[];
  readonly open: OpenFile;
}

/**
 * Settles what a request leaves open and begins its folder. With `resume`, a folder that holds this film already is
 * gone on with. Throws what the request's parts throw, and as `openFolder`.
 */
export async function beginFilm(request: FilmRequest, place: FilmPlace, resume: boolean): Promise<FilmJob> {
  const { folder, film, info, loras, open } = place;
  const parsed = parseFilm(request);
  checkFilm(filmFormatOf(film.file), film);
  const image = parsed.image === undefined ? undefined : await openImage(parsed.image, open);
  const depth = depthOf(parsed);
  const network = depth === undefined ? undefined : await readKnown(depth, open);
  // A network that cannot be used shows before the folder is begun.
  if (network !== undefined) await (await openDepth(network.bytes, network.file))[Symbol.asyncDispose]();
  const size = sizeOf(parsed, image?.picture, info);
  const settings = {
    ...parsed,
    seed: parsed.seed ?? randomInt(2 ** 32),
    ...size,
    ...(image === undefined ? {} : { image: { file: resolve(image.file), sha256: image.sha256 } }),
    ...(network === undefined ? {} : { depth: { file: resolve(network.file), sha256: network.sha256 } }),
  };
  const file: FilmFile = {
    kandinskyFilm: 1,
    operation: parsed.operation,
    model: { name: info.name, fingerprint: info.fingerprint, folder: info.folder },
    loras: info.loras.map(({ weight, hash }, i) => ({ file: resolve(loras[i]!.file), weight, hash })),
    settings,
    film,
  };
  // As it will be read again.
  const written = JSON.parse(JSON.stringify(file)) as FilmFile;
  await openFolder(folder, written, resume);
  return jobOf(folder, written);
}

/** The film that was begun in a folder. Throws `file_missing`, `file_corrupt`, and as its parts do. */
export async function begunFilm(folder: string): Promise<FilmJob> {
  return jobOf(folder, await filmOf(folder));
}

/** Goes on with a film that `begunFilm` read. Throws `model_config` where the model is another. */
export async function goOnWith({ folder, model }: FilmJob, info: ModelInfo): Promise<void> {
  if (info.fingerprint !== model.fingerprint) {
    throw new KandinskyError("model_config", {
      what: "the model has changed since the film was begun",
      where: info.folder,
      seen: `${info.name} ${info.fingerprint}`,
      wanted: `${model.name} ${model.fingerprint}`,
      hint: "name the model of the film with --model, or begin anew in another folder",
    });
  }
  await openFolder(folder, await filmOf(folder), true);
}

function jobOf(folder: string, file: FilmFile): FilmJob {
  const settings = parseFilm(file.settings as FilmRequest);
  const { seed, width, height } = settings;
  if (seed === undefined || width === undefined || height === undefined) {
    throw new KandinskyError("file_corrupt", { what: "the film's description is not whole", where: folder });
  }
  const film = file.film as FilmJob["film"];
  checkFilm(filmFormatOf(film.file), film);
  return {
    folder,
    model: file.model,
    loras: file.loras,
    settings: { ...settings, seed, width, height },
    film,
  };
}

/** A picture to begin with; throws as `readKnown` and `decodePicture`. */
export async function openImage(
  source: Source,
  open: OpenFile,
): Promise<{ readonly file: string; readonly sha256: string; readonly picture: Picture }> {
  const { file, sha256, bytes } = await readKnown(source, open);
  return { file, sha256, picture: await decodePicture(bytes, file) };
}

/** The bytes of a file that a film was begun with; throws `picture_unfit` where they are not those of the hash. */
export async function readKnown({ file, sha256: wanted }: Source, open: OpenFile) {
  const bytes = await open(file, wanted);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  if (wanted !== undefined && wanted !== sha256) {
    throw new KandinskyError("picture_unfit", {
      what: "the file is not the one that the film was begun with",
      where: file,
      seen: `SHA-256 ${sha256.slice(0, 12)}`,
      wanted: wanted.slice(0, 12),
      hint: "put the old file back, or begin anew in another folder",
    });
  }
  return { file, sha256, bytes };
}

/** The size asked for; else the picture's shape in the model's area; else the model's square. */
function sizeOf(
  { width, height }: { readonly width?: number | undefined; readonly height?: number | undefined },
  picture: Picture | undefined,
  { side, unit }: ModelInfo,
): { readonly width: number; readonly height: number } {
  const ratio = picture === undefined ? 1 : picture.width / picture.height;
  const fitted = (length: number) => Math.max(1, Math.round(length / unit)) * unit;
  return {
    width: checkSide("width", width ?? fitted(side * Math.sqrt(ratio)), unit),
    height: checkSide("height", height ?? fitted(side / Math.sqrt(ratio)), unit),
  };
}
