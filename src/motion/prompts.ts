import { KandinskyError } from "../base/mod.ts";

/** A prompt from its frame on. */
export interface PromptKey {
  readonly frame: number;
  readonly prompt: string;
  readonly negative: string | undefined;
}

/** What a frame is drawn from: one prompt, or two of which the second has `weight` (0 to 1). */
export interface PromptMix {
  readonly prompt: string;
  readonly negative: string | undefined;
  readonly next?: { readonly prompt: string; readonly weight: number };
}

/** Deforum writes what to keep away from behind this in the prompt. */
const NEGATIVE = "--neg";

/**
 * A prompt schedule: one prompt for all frames, or prompts by frame as Deforum's settings have them:
 * `{"0": "a fox", "48": "a wolf --neg snow"}`. Throws `option_invalid` for frames that are no whole numbers or not in
 * rising order, and `input_missing` for none.
 */
export function parsePrompts(
  prompts: string | readonly (readonly [frame: string, prompt: string])[],
  negative?: string,
): PromptKey[] {
  const entries = typeof prompts === "string" ? [["0", prompts] as const] : prompts;
  if (entries.length === 0) {
    throw new KandinskyError("input_missing", { what: "an animation needs a prompt", where: "prompts" });
  }
  const keys: PromptKey[] = [];
  for (const [name, text] of entries) {
    const frame = /^\s*\d+\s*$/.test(name) ? Number(name) : Number.NaN;
    const before = keys.at(-1)?.frame ?? -1;
    if (!(frame > before)) {
      throw new KandinskyError("option_invalid", {
        what: "cannot use this prompt schedule",
        where: `prompts, item ${keys.length + 1}`,
        seen: Number.isNaN(frame) ? JSON.stringify(name) : `frame ${frame} behind frame ${before}`,
        wanted: Number.isNaN(frame) ? "the number of a frame" : "frames in rising order",
      });
    }
    const [prompt = "", own] = text.split(NEGATIVE).map((part) => part.trim());
    keys.push({ frame, prompt, negative: own ?? negative });
  }
  return keys;
}

/** The prompt of a frame; with `interpolate`, mixed with the next one the nearer that is. */
export function promptAt(keys: readonly PromptKey[], frame: number, interpolate: boolean): PromptMix {
  const index = Math.max(
    0,
    keys.findLastIndex((key) => key.frame <= frame),
  );
  const { prompt, negative, frame: from } = keys[index]!;
  const next = keys[index + 1];
  const weight = next === undefined ? 0 : Math.max(0, (frame - from) / (next.frame - from));
  if (!interpolate || next === undefined || weight === 0 || next.prompt === prompt)
    return { prompt, negative };
  return { prompt, negative, next: { prompt: next.prompt, weight } };
}
