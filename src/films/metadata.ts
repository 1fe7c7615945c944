import { KandinskyError } from "../base/mod.ts";
import type { Picture, PictureMetadata } from "../image/mod.ts";
import type { FilmJob } from "./job.node.ts";

/** The settings of a frame that no model drew by itself. */
export function filmMetadata(
  { settings, model }: FilmJob,
  frame: number,
  subject: { readonly prompt: string; readonly negative: string | undefined },
  { width, height }: Picture,
): PictureMetadata {
  const { name, fingerprint } = model;
  return {
    prompt: subject.prompt,
    negativePrompt: subject.negative ?? "",
    steps: settings.steps ?? 0,
    sampler: settings.sampler ?? "",
    guidance: (settings.guidance ?? 0) + 1,
    seed: settings.seed,
    width,
    height,
    model: name,
    json: { kandinsky: 1, operation: settings.operation, model: name, fingerprint, frame, request: settings },
  };
}

/** Throws `cancelled` after the signal. */
export function stopIfAsked(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new KandinskyError("cancelled", { what: "stopped" });
}
