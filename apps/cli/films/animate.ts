import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { KandinskyError } from "../../../src/base/mod.ts";
import type { AnimateRequest } from "../../../src/films/mod.ts";
import { type DeforumSettings, readDeforumSettings } from "../../../src/motion/mod.ts";
import { type Context, styled } from "../context.ts";
import { given } from "../generate/draw.ts";
import { makeFilm } from "./make.ts";
import { type MotionOptions, motionOf } from "./motion-options.ts";
import { type FilmOptions, pictureFields } from "./options.ts";

interface AnimateOptions extends FilmOptions, MotionOptions {
  readonly at?: readonly string[];
  readonly settings?: string;
  readonly depth?: string;
  readonly strengthAs?: string;
  readonly strength?: string;
}

/** `kandinsky animate`. */
export async function runAnimate(context: Context, command: Command): Promise<number> {
  const options = command.opts<AnimateOptions>();
  return makeFilm(context, command, "animate", options, async (info) => {
    const file = options.settings === undefined ? undefined : await settingsOf(context, options.settings);
    const motion = motionOf(options, file);
    const prompts = promptsOf(command.args, options.at ?? [], file);
    const { width, height, seed, steps, scale } = file ?? {};
    const inFile = {
      ...(width === undefined || height === undefined ? {} : snapped(width, height, info.unit)),
      // Deforum draws at random where the seed is below 0.
      ...(seed === undefined || seed < 0 ? {} : { seed }),
      ...(steps === undefined ? {} : { steps }),
      ...(scale === undefined ? {} : { guidance: Math.max(0, scale - 1) }),
    };
    const { strengthAs, depth } = options;
    // Names that do not exist are the library's to refuse, as it does for every caller.
    const request = {
      operation: "animate",
      ...inFile,
      ...pictureFields(options, info),
      prompts,
      motion,
      ...given({ strengthAs, depth }),
    } as AnimateRequest;
    return { request, frameRate: motion.frameRate! };
  });
}

async function settingsOf(context: Context, path: string): Promise<DeforumSettings> {
  const text = await readFile(path, "utf8").catch((cause: unknown) => {
    const parts = { what: "cannot read the settings", where: path, hint: "check the name" };
    throw new KandinskyError("file_missing", parts, { cause });
  });
  const settings = readDeforumSettings(text, path);
  const { films: t } = context.text;
  const note = (words: string) =>
    context.stderr.write(`${styled(context, "note", context.text.run.warning)}: ${words}\n`);
  if (settings.unknown.length > 0) note(t.unknownKeys(path, settings.unknown.join(", ")));
  if (settings.unused.length > 0) note(t.unusedKeys(path, settings.unused.join(", ")));
  return settings;
}

/** The words of the command line from frame 0 on, and those of --at; else what the file says. */
function promptsOf(
  words: readonly string[],
  at: readonly string[],
  file: DeforumSettings | undefined,
): AnimateRequest["prompts"] {
  const first: [string, string][] = words.length === 0 ? [] : [["0", words.join(" ")]];
  const later = at.map((raw): [string, string] => {
    const colon = raw.indexOf(":");
    return [raw.slice(0, Math.max(0, colon)), raw.slice(colon + 1).trim()];
  });
  const own = [...first, ...later];
  if (own.length > 0 || file?.prompts === undefined) return own;
  return file.prompts.map(({ frame, prompt, negative }) => [
    String(frame),
    negative === undefined ? prompt : `${prompt} --neg ${negative}`,
  ]);
}

/** Deforum's sizes are multiples of 8 or 64; the model's unit may be another. */
function snapped(width: number, height: number, unit: number) {
  const side = (pixels: number) => Math.max(1, Math.floor(pixels / unit)) * unit;
  return { width: side(width), height: side(height) };
}
