import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import { bytes } from "../values.ts";

/** `kandinsky doctor`: tells what this machine can do. */
export const doctor: CommandDefinition = {
  define: (command, text) => {
    const { doctor: t } = text;
    command
      .usage(t.usage)
      .optionsGroup(text.groups.general)
      .option("--model <folder>", t.model)
      .option("--memory <bytes>", t.memory, bytes("--memory"))
      .option("--remove-packed", t.removePacked)
      .option("--remove-texts", t.removeTexts)
      .option("--json", t.json)
      .addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runDoctor } = await import("../doctor/run.ts");
    return runDoctor(context, command);
  },
};
