import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import { loras } from "./generate.ts";

/** `kandinsky lora inspect FILE` and `kandinsky lora merge MODEL OUT`. */
export const lora: CommandDefinition = {
  define: (command, text) => {
    const { lora: t, groups } = text;
    command
      .usage(t.usage)
      .argument("<action>", t.action)
      .argument("<paths...>", t.paths)
      .optionsGroup(groups.general)
      .option("--lora <file:weight>", t.use, loras, [])
      .option("--model <folder>", t.model)
      .option("--overwrite", t.overwrite)
      .option("--json", t.json)
      .addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runLora } = await import("../lora/run.ts");
    return runLora(context, command);
  },
};
