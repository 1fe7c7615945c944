import type { Command } from "commander";
import type { Context } from "./context.ts";
import type { Messages } from "./messages/mod.ts";

/** A command of the command line. */
export interface CommandDefinition {
  /** Adds arguments, options and examples. */
  readonly define: (command: Command, text: Messages) => void;
  /** Returns the exit code. */
  readonly run: (context: Context, command: Command) => Promise<number>;
}

/** Every command, loaded when it is named: help and mistakes need not wait for the rest. */
export const COMMANDS: Readonly<Record<keyof Messages["commands"], () => Promise<CommandDefinition>>> = {
  generate: async () => (await import("./commands/generate.ts")).generate,
  edit: async () => (await import("./commands/edits.ts")).edit,
  inpaint: async () => (await import("./commands/edits.ts")).inpaint,
  extend: async () => (await import("./commands/edits.ts")).extend,
  panorama: async () => (await import("./commands/edits.ts")).panorama,
  upscale: async () => (await import("./commands/edits.ts")).upscale,
  animate: async () => (await import("./commands/animate.ts")).animate,
  zoom: async () => (await import("./commands/zoom.ts")).zoom,
  repeat: async () => (await import("./commands/repeat.ts")).repeat,
  models: async () => (await import("./commands/models.ts")).models,
  doctor: async () => (await import("./commands/doctor.ts")).doctor,
  lora: async () => (await import("./commands/lora.ts")).lora,
  convert: async () => (await import("./commands/convert.ts")).convert,
  quantize: async () => (await import("./commands/quantize.ts")).quantize,
  data: async () => (await import("./commands/data.ts")).data,
  masks: async () => (await import("./commands/masks.ts")).masks,
  train: async () => (await import("./commands/train.ts")).train,
  evaluate: async () => (await import("./commands/evaluate.ts")).evaluate,
  inspect: async () => (await import("./commands/inspect.ts")).inspect,
};
