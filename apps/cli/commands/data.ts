import { CAPTION_POLICIES } from "../../../src/data/mod.ts";
import { NANO_SCENES, SPLITS, STYLES } from "../../../src/scenes/mod.ts";
import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import { number, whole } from "../values.ts";

/** `kandinsky data nano OUT` makes the pictures that nano is trained on; `kandinsky data look` looks through any. */
export const data: CommandDefinition = {
  define: (command, text) => {
    const { data: t } = text;
    command
      .usage(t.usage)
      .argument("<action>", t.action)
      .argument("<paths...>", t.paths)
      .option("--count <n>", t.count, whole("--count"), 64)
      .option("--size <n>", t.size, whole("--size"), 128)
      .option("--seed <n>", t.seed, number("--seed"), 0)
      .option("--shard <n>", t.shard, whole("--shard"), 1000)
      .option("--split <name>", t.split(SPLITS.join(", ")), NANO_SCENES.split)
      .option("--styles <names>", t.styles(Object.keys(STYLES).join(", ")), "noto,flat")
      .option("--captions <policy>", t.captions(CAPTION_POLICIES.join(", ")), "skip")
      .option("--cache <folder>", t.cache)
      .option("--json", t.json)
      .addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runData } = await import("../data/run.ts");
    return runData(context, command);
  },
};
