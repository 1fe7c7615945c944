import {
  BLENDS,
  BORDER_NAMES,
  COLOR_SPACES,
  CONFIG_PRESETS,
  MOTION_NAMES,
  SEED_BEHAVIORS,
  SEGMENT_PRESETS,
} from "../../../src/motion/mod.ts";
import type { CommandDefinition } from "../commands.ts";
import { flagOf } from "../films/motion-options.ts";
import { examplesOf } from "../help.ts";
import { number, whole } from "../values.ts";
import { addFilmOptions, addFrameOptions, list, many } from "./film-options.ts";
import { addMachineOptions, addSamplingOptions } from "./generate.ts";

/** `kandinsky animate`: a film of frames that are moved and drawn anew, as Deforum makes them. */
export const animate: CommandDefinition = {
  define: (command, text) => {
    const { animate: t, groups } = text;
    command.usage(t.usage).argument("[prompt...]", t.prompt);
    addFrameOptions(command, text)
      .option("--at <frame:prompt>", t.at, many)
      .option("--cut-prompts", t.cutPrompts)
      .option("--frames <n>", t.frames, number("--frames"))
      .option("--seed-behavior <name>", t.seedBehavior(list(SEED_BEHAVIORS)));
    command
      .optionsGroup(groups.motion)
      .option("--camera <name:seconds:acceleration>", t.camera(list(SEGMENT_PRESETS)), many)
      .option("--preset <name>", t.preset(list(Object.keys(CONFIG_PRESETS))))
      .option("--settings <file>", t.settings)
      .option("--mode <name>", t.mode)
      .option("--border <name>", t.border(list(BORDER_NAMES)))
      .option("--depth <file>", t.depth);
    for (const name of MOTION_NAMES) command.option(`${flagOf(name)} <schedule>`, t.motion[name]);
    command
      .optionsGroup(groups.drawing)
      .option("--strength <schedule>", t.strength)
      .option("--strength-as <name>", t.strengthAs)
      .option("--cadence <n>", t.cadence, whole("--cadence"))
      .option("--blend <name>", t.blend(list(BLENDS)))
      .option("--coherence <name>", t.coherence(list(["none", ...COLOR_SPACES])))
      .option("--noise <schedule>", t.noise)
      .option("--contrast <schedule>", t.contrast)
      .option("--sharpen <schedule>", t.sharpen);
    addSamplingOptions(command, text);
    addFilmOptions(command, text);
    addMachineOptions(command, text).addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runAnimate } = await import("../films/animate.ts");
    return runAnimate(context, command);
  },
};
