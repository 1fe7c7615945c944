import type { Command } from "commander";
import type { Context } from "../context.ts";

/**
 * Puts paths in the place of stored models' names, in the options of any command that name a model or a LoRA.
 * Throws `model_missing` with the command that adds it.
 */
export async function resolveNames(context: Context, command: Command): Promise<void> {
  const { model, lora } = command.opts<{ model?: unknown; lora?: unknown }>();
  if (typeof model === "string") command.setOptionValue("model", await pathOf(context, model));
  if (!Array.isArray(lora)) return;
  const choices = lora as readonly { readonly file: string }[];
  command.setOptionValue(
    "lora",
    await Promise.all(
      choices.map(async (choice) => ({ ...choice, file: await pathOf(context, choice.file) })),
    ),
  );
}

/** The path that a word of the command line means: a path that is there, or the name of a stored model. */
export async function pathOf({ env, signal }: Context, word: string): Promise<string> {
  const { modelPath } = await import("../../../src/store/mod.ts");
  return modelPath(word, env, { signal });
}
