import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import { type Size, size } from "../values.ts";

/** `kandinsky inspect FOLDER|FILE`: what a model is made of, from headers alone. */
export const inspect: CommandDefinition = {
  define: (command, text) => {
    const { inspect: t } = text;
    const parse = size("--size");
    command
      .usage(t.usage)
      .argument("<path>", t.path)
      .optionsGroup(text.groups.general)
      .option("--size <WxH>", t.size, (raw: string, before: Size[]) => [...before, parse(raw)], [])
      .option("--json", t.json)
      .addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runInspect } = await import("../inspect/run.ts");
    return runInspect(context, command);
  },
};
