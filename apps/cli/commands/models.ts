import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";

/** `kandinsky models add|list|info|verify|remove|gc`: the models that a person has. */
export const models: CommandDefinition = {
  define: (command, text) => {
    const { models: t, groups } = text;
    command
      .usage(t.usage)
      .argument("<action>", t.action)
      .argument("[names...]", t.names)
      .optionsGroup(groups.general)
      .option("--revision <name>", t.revision)
      .option("--variant <name>", t.variant)
      .option("--name <name>", t.name)
      .option("--dry-run", t.dryRun)
      .option("--json", t.json)
      .addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runModels } = await import("../models/run.ts");
    return runModels(context, command);
  },
};
