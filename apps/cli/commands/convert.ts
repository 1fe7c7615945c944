import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";

/** `kandinsky convert IN... OUT`: weights of any format to safetensors. */
export const convert: CommandDefinition = {
  define: (command, text) => {
    const { convert: t } = text;
    command
      .usage(t.usage)
      .argument("<in>", t.input)
      .argument("<out...>", t.output)
      .option("--overwrite", t.overwrite)
      .addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runConvert } = await import("../convert/run.ts");
    return runConvert(context, command);
  },
};
