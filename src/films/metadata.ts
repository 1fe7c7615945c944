import { KandinskyError } from "../base/mod.ts";
import type { Picture, PictureMetadata } from "../image/mod.ts";
import type { LoraInfo } from "../pipelines/mod.ts";
import type { FilmJob } from "./job.node.ts";
import { depthOf, type FilmOperation, type ParsedFilm } from "./request.ts";

/** What every file of a film says of it: enough to make the film again. Files are named without their folders. */
export interface FilmDescription {
  readonly kandinsky: 1;
  readonly operation: FilmOperation;
  readonly model: string;
  readonly fingerprint: string;
  readonly loras: readonly LoraInfo[];
  readonly request: ParsedFilm;
  /** How the film was written. */
  readonly film: FilmJob["film"];
}

/** The description of a film; whose folders its files lay in is nobody's business. */
export function describeFilm({ settings, model, loras, film }: FilmJob): FilmDescription {
  const { image } = settings;
  const depth = depthOf(settings);
  const { audio, file } = film;
  return {
    kandinsky: 1,
    operation: settings.operation,
    model: model.name,
    fingerprint: model.fingerprint,
    loras: loras.map(({ file: path, weight, hash }) => ({ name: nameOf(path), weight, hash })),
    request: {
      ...settings,
      ...(image === undefined ? {} : { image: { ...image, file: nameOf(image.file) } }),
      ...(depth === undefined ? {} : { depth: { ...depth, file: nameOf(depth.file) } }),
    },
    film: { ...film, file: nameOf(file), ...(audio === undefined ? {} : { audio: nameOf(audio) }) },
  };
}

function nameOf(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}

type Subject = { readonly prompt: string; readonly negative: string | undefined };

/** The settings of a frame that no model drew by itself, or without `frame` of the film. */
export function filmMetadata(
  job: FilmJob,
  { width, height }: Pick<Picture, "width" | "height">,
  subject: Subject = { prompt: firstPrompt(job), negative: job.settings.negative },
  frame?: number,
): PictureMetadata {
  const { settings, model } = job;
  return {
    prompt: subject.prompt,
    negativePrompt: subject.negative ?? "",
    steps: settings.steps ?? 0,
    sampler: settings.sampler ?? "",
    guidance: (settings.guidance ?? 0) + 1,
    seed: settings.seed,
    width,
    height,
    model: model.name,
    json: { ...describeFilm(job), ...(frame === undefined ? {} : { frame }) },
  };
}

/** The settings of a picture that the model drew for a film: its own, and the film's. */
export function drawnMetadata(job: FilmJob, metadata: PictureMetadata): PictureMetadata {
  return { ...metadata, json: { ...metadata.json, film: describeFilm(job) } };
}

function firstPrompt({ settings: { prompts } }: FilmJob): string {
  if (typeof prompts === "string") return prompts;
  const first = prompts[0];
  return (typeof first === "string" ? first : first?.[1]) ?? "";
}

/** Throws `cancelled` after the signal. */
export function stopIfAsked(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new KandinskyError("cancelled", { what: "stopped" });
}
