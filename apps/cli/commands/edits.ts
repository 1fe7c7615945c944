import { type Command, Option } from "commander";
import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import type { Messages } from "../messages/mod.ts";
import { box, colorKey, extent, number, points, ratio, size } from "../values.ts";
import { addMachineOptions, addOutputOptions, addSamplingOptions, addSubjectOptions } from "./generate.ts";

type Edit = keyof Messages["edits"]["usages"];

/** A command that draws pictures from others, with the options that are its own. */
function editCommand(name: Edit, addOwn: (command: Command, text: Messages) => void): CommandDefinition {
  return {
    define: (command, text) => {
      const { edits: t } = text;
      command.usage(t.usages[name]).optionsGroup(t.group);
      addOwn(command, text);
      addSubjectOptions(command, text);
      addSamplingOptions(command, text);
      addOutputOptions(command, text)
        .option("--format <name>", text.generate.format)
        .option("--sheet", text.generate.sheet);
      addMachineOptions(command, text).addHelpText("after", examplesOf(t.examples[name], text));
    },
    run: async (context, command) => {
      const { runEdit } = await import("../edits/run.ts");
      return runEdit(context, command, name);
    },
  };
}

/** `kandinsky edit PICTURE PROMPT`: image-to-image. */
export const edit = editCommand("edit", (command, { edits: t }) => {
  command.argument("<picture>", t.picture).argument("<prompt...>", t.prompt);
  addStrengthOptions(command, t, 0.5).option("--size <WxH>", t.size, size("--size"));
});

/** `kandinsky inpaint PICTURE PROMPT`: repaints what a mask covers. */
export const inpaint = editCommand("inpaint", (command, { edits: t }) => {
  command.argument("<picture>", t.picture).argument("[prompt...]", t.optionalPrompt);
  command
    .option("--mask <file>", t.mask)
    .option("--box <X,Y,W,H>", t.box, box("--box"))
    .option("--polygon <corners>", t.polygon, points("--polygon"))
    .option("--strokes <file>", t.strokes)
    .option("--color-key <color:tolerance>", t.colorKey, colorKey("--color-key"))
    .option("--invert", t.invert)
    .option("--grow <n>", t.grow, number("--grow"))
    .option("--feather <n>", t.feather, number("--feather"))
    .option("--no-match-colors", t.matchColors)
    .option("--region <name>", t.region)
    .option("--padding <n>", t.padding, number("--padding"))
    .option("--strict", t.strict);
  addStrengthOptions(command, t, 1);
});

/** `kandinsky extend PICTURE PROMPT`: outpainting. */
export const extend = editCommand("extend", (command, { edits: t }) => {
  command.argument("<picture>", t.picture).argument("[prompt...]", t.optionalPrompt);
  for (const side of ["left", "right", "top", "bottom"] as const) {
    command.option(`--${side} <n>`, t.side(t.sides[side]), extent(`--${side}`));
  }
  command
    .option("--ratio <W:H>", t.ratio, ratio("--ratio"))
    .option("--prompts <file>", t.sections)
    .option("--no-match-colors", t.matchColors);
  addWindowOptions(command, t, "average");
});

/** `kandinsky panorama PROMPT`: a picture of many windows. */
export const panorama = editCommand("panorama", (command, { edits: t }) => {
  command.argument("[prompt...]", t.prompt);
  command
    .option("--prompts <file>", t.sections)
    .option("--width <n>", t.width, number("--width"))
    .option("--height <n>", t.height, number("--height"))
    .option("--size <WxH>", t.panoramaSize, size("--size"))
    .option("--wrap", t.wrap);
  addWindowOptions(command, t, "noise");
});

/** `kandinsky upscale PICTURE --by 2`: larger, with drawn detail. */
export const upscale = editCommand("upscale", (command, { edits: t }) => {
  command.argument("<picture>", t.picture).argument("[prompt...]", t.optionalPrompt);
  command.addOption(new Option("--by <n>", t.by).argParser(number("--by")).makeOptionMandatory());
  addStrengthOptions(command, t, 0.3);
  addWindowOptions(command, t, "noise");
});

function addStrengthOptions(command: Command, t: Messages["edits"], usual: number): Command {
  return command
    .option("--strength <x>", t.strength(usual), number("--strength"))
    .option("--strength-as <name>", t.strengthAs);
}

function addWindowOptions(command: Command, t: Messages["edits"], usual: "average" | "noise"): Command {
  return command
    .option("--overlap <x>", t.overlap, number("--overlap"))
    .option("--join <name>", t.join(usual));
}
