import type { ModelInfo } from "../../../src/pipelines/mod.ts";
import { type MachineOptions, type PictureOptions, requestOf } from "../generate/options.ts";

/** Options of every command that makes a film, as commander returns them. */
export interface FilmOptions extends MachineOptions, Omit<PictureOptions, "prompts" | "count"> {
  readonly image?: string;
  readonly output?: string;
  readonly film?: string;
  readonly fps?: number;
  readonly quality?: number;
  readonly loop?: number;
  readonly audio?: string;
  readonly json?: boolean;
  readonly resume?: string;
}

/** The fields of a film's request that every picture of it shares. */
export function pictureFields(
  options: FilmOptions,
  info: Pick<ModelInfo, "unit" | "side">,
): Record<string, unknown> {
  const { negative, size, ratio, seed, steps, guidance, guidanceRescale, guidanceInterval, image } = options;
  const { threshold, clip, sampler, spacing, profile, batchText, rng } = options;
  const sampling = { steps, guidance, guidanceRescale, guidanceInterval, threshold, clip };
  const names = { sampler, spacing, profile, batchText, rng };
  const picked = { negative, size, ratio, seed, ...sampling, ...names };
  const present = Object.fromEntries(Object.entries(picked).filter(([, value]) => value !== undefined));
  const { prompt: _, ...fields } = requestOf([""], present as PictureOptions, info);
  return { ...fields, ...(image === undefined ? {} : { image }) };
}
