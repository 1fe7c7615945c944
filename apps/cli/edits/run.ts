import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { KandinskyError } from "../../../src/base/mod.ts";
import type { MaskSource, Operation, PictureRequest } from "../../../src/pipelines/mod.ts";
import type { Context } from "../context.ts";
import type { GenerateOptions } from "../generate/options.ts";
import { readPrompts } from "../generate/prompts.ts";
import { drawRequest, splitOptions } from "../generate/run.ts";
import type { ColorKey, Size } from "../values.ts";

/** Options that say what a mask is: one of them, or the picture's transparency. */
interface MaskOptions {
  readonly mask?: string;
  readonly box?: Extract<MaskSource, { from: "box" }>;
  readonly polygon?: [number, number][];
  readonly strokes?: string;
  readonly colorKey?: ColorKey;
}

interface EditOptions extends GenerateOptions, MaskOptions {
  readonly size?: Size;
  /** File of prompts from left to right. */
  readonly prompts?: string;
}

/** Commands of which the first word is a picture, and the rest a prompt. */
const WITH_PICTURE: ReadonlySet<Operation> = new Set(["edit", "inpaint", "extend", "upscale"]);

/** `kandinsky edit`, `inpaint`, `extend`, `panorama` and `upscale`. */
export async function runEdit(context: Context, command: Command, operation: Operation): Promise<number> {
  const options = command.opts<EditOptions>();
  const [image, words] = WITH_PICTURE.has(operation)
    ? [command.args[0], command.args.slice(1)]
    : [undefined, command.args];
  const prompt = await promptOf(context, operation, words, options.prompts);
  const { mask: _, box: __, polygon: ___, strokes: ____, colorKey: _____, prompts, size, ...rest } = options;
  const mask = operation === "inpaint" ? await maskOf(options) : undefined;
  const { picture } = splitOptions(rest);
  const request = {
    ...picture,
    operation,
    prompt,
    ...size,
    ...(image === undefined ? {} : { image }),
    ...(mask === undefined ? {} : { mask }),
  };
  // Names and numbers that cannot be are the library's to refuse, as it does for every caller.
  return drawRequest(context, options, operation, () => request as PictureRequest);
}

/** Sections where a file has them; else the words, of which some operations need none. */
async function promptOf(
  context: Context,
  operation: Operation,
  words: readonly string[],
  file: string | undefined,
): Promise<string | string[]> {
  if (file === undefined && words.length === 0 && operation !== "panorama") return "";
  const prompts = await readPrompts(words, file, context);
  return prompts.length === 1 ? prompts[0]! : prompts;
}

const MASK_FLAGS = {
  mask: "--mask",
  box: "--box",
  polygon: "--polygon",
  strokes: "--strokes",
  colorKey: "--color-key",
} as const satisfies Record<keyof MaskOptions, string>;

async function maskOf(options: MaskOptions): Promise<MaskSource | undefined> {
  const { mask, box, polygon, strokes, colorKey } = options;
  const flags = Object.entries(MASK_FLAGS).filter(([key]) => options[key as keyof MaskOptions] !== undefined);
  if (flags.length > 1) {
    throw new KandinskyError("option_invalid", {
      what: "there are several masks",
      where: flags.map(([, flag]) => flag).join(", "),
      wanted: "one",
      hint: "leave all but one out",
    });
  }
  if (mask !== undefined) return { from: "file", file: mask };
  if (polygon !== undefined) return { from: "polygon", points: polygon };
  if (strokes !== undefined) return { from: "strokes", strokes: await readStrokes(strokes) };
  if (colorKey !== undefined) return { from: "color", ...colorKey };
  return box;
}

type Strokes = Extract<MaskSource, { from: "strokes" }>["strokes"];

/** What a file of strokes holds; the library checks it. */
async function readStrokes(file: string): Promise<Strokes> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    const what = "cannot read the strokes";
    throw new KandinskyError("file_missing", { what, where: file, hint: "check the name" }, { cause });
  });
  try {
    return JSON.parse(text) as Strokes;
  } catch (cause) {
    const wanted = 'JSON such as [{"points": [[10, 20], [30, 25]], "width": 12}]';
    throw new KandinskyError(
      "file_corrupt",
      { what: "cannot read the strokes", where: file, wanted },
      { cause },
    );
  }
}
