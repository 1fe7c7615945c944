import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import { modelSize, names } from "../values.ts";

/** `kandinsky quantize MODEL OUT --weights int8`: a smaller copy of a model. */
export const quantize: CommandDefinition = {
  define: (command, text) => {
    const { quantize: t, groups } = text;
    command
      .usage(t.usage)
      .argument("<model>", t.model)
      .argument("<output>", t.output)
      .optionsGroup(groups.general)
      .requiredOption("--weights <precision>", t.weights)
      .option("--part <names>", t.part, names("--part"), ["text_encoder", "unet"])
      .option("--size <size>", t.size, modelSize("--size"))
      .option("--prompts <file>", t.prompts)
      .option("--json", t.json)
      .addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runQuantize } = await import("../quantize/run.ts");
    return runQuantize(context, command);
  },
};
