import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import { whole } from "../values.ts";

/** `kandinsky train CONFIG`: training and fine-tuning. */
export const train: CommandDefinition = {
  define: (command, text) => {
    const { train: t } = text;
    command
      .usage(t.usage)
      .argument("<config>", t.config)
      .option("--out <folder>", t.out)
      .option("--resume", t.resume)
      .option("--dry", t.dry)
      .option("--smoke", t.smoke)
      .option("--threads <n>", text.generate.threads, whole("--threads"))
      .option("--json", text.generate.json)
      .addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runTrain } = await import("../train/run.ts");
    return runTrain(context, command);
  },
};
