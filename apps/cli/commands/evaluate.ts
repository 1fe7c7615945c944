import { ALL_LANGUAGES } from "../../../src/scenes/mod.ts";
import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import { number, size, whole } from "../values.ts";

/** `kandinsky evaluate MODEL`: what a small model draws of what it was asked for. */
export const evaluate: CommandDefinition = {
  define: (command, text) => {
    const { evaluate: t, generate } = text;
    command
      .usage(t.usage)
      .argument("<model>", t.model)
      .option("--out <folder>", t.out, "kandinsky-evaluation")
      .option("--languages <list>", t.languages(ALL_LANGUAGES.join(", ")), "en,ru")
      .option("--seeds <n>", t.seeds, whole("--seeds"), 3)
      .option("--size <WxH>", t.size, size("--size"), { width: 64, height: 64 })
      .option("--count <n>", t.count, whole("--count"))
      .option("--scenes <n>", t.scenes, whole("--scenes", 0), 100)
      .option("--steps <n>", t.steps, whole("--steps"), 25)
      .option("--guidance <w>", generate.guidance, number("--guidance"))
      .option("--threads <n>", generate.threads, whole("--threads"))
      .option("--json", generate.json)
      .addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runEvaluate } = await import("../evaluate/run.ts");
    return runEvaluate(context, command);
  },
};
