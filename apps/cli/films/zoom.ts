import type { Command } from "commander";
import { KandinskyError } from "../../../src/base/mod.ts";
import type { ZoomRequest } from "../../../src/films/mod.ts";
import type { Context } from "../context.ts";
import { given } from "../generate/draw.ts";
import { makeFilm } from "./make.ts";
import { type FilmOptions, pictureFields } from "./options.ts";

interface ZoomOptions extends FilmOptions {
  readonly around?: readonly string[];
  readonly in?: boolean;
  readonly keys?: number;
  readonly ratioPerKey?: number;
  readonly secondsPerKey?: number;
  readonly easing?: string;
  readonly hold?: number;
  readonly thereAndBack?: boolean;
}

const FRAME_RATE = 24;

/** `kandinsky zoom`. */
export async function runZoom(context: Context, command: Command): Promise<number> {
  const options = command.opts<ZoomOptions>();
  return makeFilm(context, command, "zoom", options, async (info) => {
    const { around = [], keys, ratioPerKey, secondsPerKey, easing, hold, thereAndBack } = options;
    const frameRate = options.fps ?? FRAME_RATE;
    const first = command.args.join(" ");
    if (first === "" && options.image === undefined) {
      throw new KandinskyError("input_missing", {
        what: "a zoom needs a prompt or a picture",
        where: "PROMPT",
      });
    }
    const prompts = [first, ...around];
    // Names that do not exist are the library's to refuse, as it does for every caller.
    const request = {
      operation: "zoom",
      ...pictureFields(options, info),
      prompts,
      ...given({
        keys: keys ?? (prompts.length > 1 ? prompts.length : undefined),
        ratio: ratioPerKey,
        tweens: secondsPerKey === undefined ? undefined : Math.round(secondsPerKey * frameRate),
        hold: hold === undefined ? undefined : Math.round(hold * frameRate),
        easing,
        loop: thereAndBack,
        direction: options.in ? "in" : undefined,
      }),
    } as ZoomRequest;
    return { request, frameRate };
  });
}
