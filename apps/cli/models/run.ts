import type { Command } from "commander";
import { KandinskyError, nearest } from "../../../src/base/mod.ts";
import type { Context } from "../context.ts";
import { add } from "./add.ts";
import { gc, remove, verify } from "./keep.ts";
import { info, list } from "./look.ts";

/** Options of `kandinsky models`, as commander returns them. */
export interface ModelsOptions {
  readonly revision?: string;
  readonly variant?: string;
  readonly name?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

interface Action {
  /** How many names it takes: at least, at most. */
  readonly names: readonly [number, number];
  readonly options: readonly (keyof ModelsOptions)[];
  readonly run: (context: Context, names: readonly string[], options: ModelsOptions) => Promise<void>;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  add: { names: [1, 1], options: ["revision", "variant", "name", "dryRun", "json"], run: add },
  list: { names: [0, 0], options: ["json"], run: list },
  info: { names: [1, 1], options: ["json"], run: info },
  verify: { names: [0, Number.POSITIVE_INFINITY], options: ["json"], run: verify },
  remove: { names: [1, 1], options: ["dryRun", "json"], run: remove },
  gc: { names: [0, 0], options: ["dryRun", "json"], run: gc },
};

/** `kandinsky models`. */
export async function runModels(context: Context, command: Command): Promise<number> {
  const [word, ...names] = command.args as [string, ...string[]];
  const options = command.opts<ModelsOptions>();
  const action = Object.hasOwn(ACTIONS, word) ? ACTIONS[word]! : unknown(context, word);
  const { errors } = context.text;
  const [fewest, most] = action.names;
  if (names.length < fewest || names.length > most) {
    throw new KandinskyError("option_invalid", {
      what: names.length < fewest ? errors.missingArgument : errors.excessArgument,
      where: `kandinsky models ${word}`,
      hint: errors.seeHelp("kandinsky models"),
    });
  }
  const stray = command.options.find((option) => {
    const name = option.attributeName() as keyof ModelsOptions | "lang";
    return name !== "lang" && options[name] !== undefined && !action.options.includes(name);
  });
  if (stray !== undefined) {
    throw new KandinskyError("option_invalid", {
      what: context.text.models.strayOption(word),
      where: stray.long!,
      hint: errors.seeHelp("kandinsky models"),
    });
  }
  await action.run(context, names, options);
  return 0;
}

function unknown(context: Context, word: string): never {
  const names = Object.keys(ACTIONS);
  const close = nearest(word, names);
  throw new KandinskyError("option_unknown", {
    what: "unknown name",
    where: "kandinsky models",
    seen: JSON.stringify(word),
    wanted: names.join(", "),
    ...(close === undefined ? {} : { hint: context.text.errors.didYouMean(close) }),
  });
}
