import type { Command } from "commander";
import { KandinskyError } from "../../../src/base/mod.ts";
import type { Context } from "../context.ts";
import { known } from "./known.ts";
import { type LookOptions, lookThrough } from "./look.ts";
import { drawNano, type NanoOptions } from "./nano.ts";

type Action = (
  context: Context,
  paths: readonly string[],
  options: NanoOptions & LookOptions,
) => Promise<void>;

/** Each action with the most paths that it takes. */
const ACTIONS: Readonly<Record<string, readonly [most: number, run: Action]>> = {
  nano: [1, (context, [folder], options) => drawNano(context, folder!, options)],
  look: [Number.POSITIVE_INFINITY, lookThrough],
};

/** `kandinsky data`. */
export async function runData(context: Context, command: Command): Promise<number> {
  const [action, ...paths] = command.args as [string, ...string[]];
  known("kandinsky data", action, Object.keys(ACTIONS));
  const [most, run] = ACTIONS[action]!;
  if (paths.length > most) {
    throw new KandinskyError("option_invalid", {
      what: context.text.errors.excessArgument,
      where: `kandinsky data ${action}`,
      hint: context.text.errors.seeHelp("kandinsky data"),
    });
  }
  await run(context, paths, command.opts<NanoOptions & LookOptions>());
  return 0;
}
