import { readFile, stat } from "node:fs/promises";
import type { Command } from "commander";
import { z } from "zod";
import { KandinskyError } from "../../../src/base/mod.ts";
import {
  beginFilm,
  begunFilm,
  depthOf,
  describeFilm,
  FILM_REQUESTS,
  type FilmDescription,
  type FilmOperation,
  type FilmRequest,
} from "../../../src/films/mod.ts";
import { readMetadata } from "../../../src/image/mod.ts";
import { embeddedModelNamed, Kandinsky3, openLocalFile } from "../../../src/pipelines/mod.ts";
import { FILM_FORMATS, readFilmSettings } from "../../../src/video/mod.ts";
import type { Context } from "../context.ts";
import { given } from "../generate/draw.ts";
import { deviceOf, type MachineOptions } from "../generate/options.ts";
import { checkSame, findInput } from "../generate/repeat.ts";
import { givenOption } from "../resumed-options.ts";
import { FOLDER, playOut } from "./make.ts";

/** As `FilmDescription`; request and film are checked by the library. */
const descriptionSchema = z.object({
  kandinsky: z.literal(1),
  operation: z.enum(Object.keys(FILM_REQUESTS) as [FilmOperation, ...FilmOperation[]]),
  model: z.string(),
  fingerprint: z.string(),
  loras: z.array(z.object({ name: z.string(), weight: z.number(), hash: z.string() })),
  request: z.custom<FilmDescription["request"]>((value) => typeof value === "object" && value !== null),
  film: z.custom<FilmDescription["film"]>((value) => typeof value === "object" && value !== null),
});

/** A film that is to be made again, and where the files that it was made from may lie besides. */
export interface OldFilm {
  readonly description: FilmDescription;
  readonly inputs: readonly string[];
}

/** The film of a film's folder, of a film, or of one of its frames; undefined for other pictures. */
export async function filmAt(path: string): Promise<OldFilm | undefined> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) {
    const job = await begunFilm(path);
    const { film, settings } = job;
    const files = [film.audio, settings.image?.file, depthOf(settings)?.file].filter(
      (file) => file !== undefined,
    );
    return { description: describeFilm(job), inputs: files };
  }
  const extension = /\.([a-z0-9]+)$/i.exec(path)?.[1]?.toLowerCase() ?? "";
  if (extension !== "webp" && Object.hasOwn(FILM_FORMATS, extension)) {
    const description = descriptionSchema.safeParse(await readFilmSettings(path));
    if (description.success) return { description: description.data as FilmDescription, inputs: [] };
    throw new KandinskyError("input_missing", {
      what: "the film's settings are not those of this program",
      where: path,
      wanted: "a film that `kandinsky animate` or `kandinsky zoom` made",
    });
  }
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes === undefined) return undefined;
  const { json } = readMetadata(bytes, path);
  // What the model drew for a film has settings of its own, and those of the film beside them.
  const film = [json, (json as { film?: unknown } | undefined)?.film]
    .map((value) => descriptionSchema.safeParse(value))
    .find(({ success }) => success);
  return film?.data === undefined ? undefined : { description: film.data as FilmDescription, inputs: [] };
}

/** Fields of a request that name files. */
const SOURCES: ReadonlySet<string> = new Set(["image", "depth"]);

/** Options of `repeat` that a film has no use for. */
const NOT_FOR_FILMS: ReadonlySet<string> = new Set(["overwrite", "preview"]);

interface RepeatOptions extends MachineOptions {
  readonly output?: string;
  readonly json?: boolean;
  readonly input: readonly string[];
}

/** Makes a film again, in a folder of its own. */
export async function repeatFilm(
  context: Context,
  command: Command,
  { description, inputs }: OldFilm,
  path: string,
): Promise<number> {
  const options = command.opts<RepeatOptions>();
  const unused = givenOption(command, (name) => NOT_FOR_FILMS.has(name));
  if (unused !== undefined) {
    throw new KandinskyError("option_invalid", {
      what: "this option does not go with a film",
      where: unused,
      hint: "leave it out",
    });
  }
  const { output: folder = FOLDER, json = false, cache, model, lora: loras, threads, memory } = options;
  const device = deviceOf(options.device);
  await using kandinsky = await Kandinsky3.load({
    cache,
    loras,
    model: model ?? (await embeddedModelNamed(description.model)),
    ...given({ device, threads, memory }),
  });
  const { info } = kandinsky;
  checkSame(context, description, info, model, path);
  const files = [...options.input, ...inputs];
  const find = async (name: string, sha256?: string) => (await findInput(name, sha256, path, files)).path;
  const found = Object.entries(description.request).map(async ([name, value]) =>
    SOURCES.has(name) ? [name, { ...value, file: await find(value.file, value.sha256) }] : [name, value],
  );
  const request = Object.fromEntries(await Promise.all(found)) as FilmRequest;
  const film = {
    ...description.film,
    ...(description.film.audio === undefined ? {} : { audio: await find(description.film.audio) }),
  };
  const job = await beginFilm(request, { folder, film, info, loras, open: openLocalFile }, false);
  await playOut(context, kandinsky, job, { json, threads });
  return 0;
}
