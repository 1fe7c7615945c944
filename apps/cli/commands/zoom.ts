import { EASING_NAMES } from "../../../src/motion/mod.ts";
import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import { number } from "../values.ts";
import { addFilmOptions, addFrameOptions, list, many } from "./film-options.ts";
import { addMachineOptions, addSamplingOptions } from "./generate.ts";

/** `kandinsky zoom`: a film that flies out of a picture, or into one. */
export const zoom: CommandDefinition = {
  define: (command, text) => {
    const { zoom: t, groups } = text;
    command.usage(t.usage).argument("[prompt...]", t.prompt);
    addFrameOptions(command, text).option("--around <prompt>", t.around, many);
    command
      .optionsGroup(groups.motion)
      .option("--in", t.in)
      .option("--keys <n>", t.keys, number("--keys"))
      .option("--ratio-per-key <x>", t.ratioPerKey, number("--ratio-per-key"))
      .option("--seconds-per-key <s>", t.secondsPerKey, number("--seconds-per-key"))
      .option("--easing <name>", t.easing(list(EASING_NAMES)))
      .option("--hold <s>", t.hold, number("--hold"))
      .option("--there-and-back", t.thereAndBack);
    addSamplingOptions(command, text);
    addFilmOptions(command, text);
    addMachineOptions(command, text).addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runZoom } = await import("../films/zoom.ts");
    return runZoom(context, command);
  },
};
