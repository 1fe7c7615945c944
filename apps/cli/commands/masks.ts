import { MASK_KINDS } from "../../../src/masks/mod.ts";
import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import { number, size, whole } from "../values.ts";

/** `kandinsky masks OUT`: masks as training draws them, to look at. */
export const masks: CommandDefinition = {
  define: (command, text) => {
    const { masks: t } = text;
    command
      .usage(t.usage)
      .argument("<out>", t.output)
      .option("--kind <name>", t.kind(MASK_KINDS.join(", ")), "mixture")
      .option("--count <n>", t.count, whole("--count"), 16)
      .option("--size <WxH>", t.size, size("--size"), { width: 256, height: 256 })
      .option("--seed <n>", t.seed, number("--seed"), 0)
      .option("--objects <path>", t.objects, (path: string, before: string[]) => [...before, path], [])
      .addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runMasks } = await import("../masks/run.ts");
    return runMasks(context, command);
  },
};
