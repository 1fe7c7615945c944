import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import { addMachineOptions, addOutputOptions } from "./generate.ts";

const collect = (file: string, before: readonly string[]) => [...before, file];

/** `kandinsky repeat IMAGE`: draws a picture again from the settings stored in it. */
export const repeat: CommandDefinition = {
  define: (command, text) => {
    const { repeat: t } = text;
    command.usage(t.usage).argument("<image>", t.image);
    command.option("--input <file>", text.edits.input, collect, []);
    addOutputOptions(command, text);
    addMachineOptions(command, text).addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runRepeat } = await import("../generate/repeat.ts");
    return runRepeat(context, command);
  },
};
