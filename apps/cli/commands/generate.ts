import type { Command } from "commander";
import { NOISE_SOURCES, PROFILES, SAMPLERS, SPACINGS } from "../../../src/diffusion/mod.ts";
import type { LoraChoice } from "../../../src/pipelines/mod.ts";
import { DEVICES } from "../../../src/runtime/mod.ts";
import type { CommandDefinition } from "../commands.ts";
import { examplesOf } from "../help.ts";
import type { Messages } from "../messages/mod.ts";
import { bytes, interval, number, ratio, size, weighted, whole } from "../values.ts";

const list = (names: readonly string[]) => names.join(", ");

/** Options about where and how to run, which every command that draws has. */
export function addMachineOptions(command: Command, { generate: t, groups }: Messages): Command {
  return command
    .optionsGroup(groups.machine)
    .option("--model <folder>", t.model)
    .option("--lora <file:weight>", t.lora, loras, [])
    .option("--device <name>", t.device(list(DEVICES)))
    .option("--threads <n>", t.threads, whole("--threads"))
    .option("--memory <bytes>", t.memory, bytes("--memory"))
    .option("--no-cache", t.cache);
}

/** Collects what an option names each time that it is given. */
export function loras(raw: string, before: readonly LoraChoice[]): LoraChoice[] {
  return [...before, weighted(raw)];
}

/** Options about files and what is told, which every command that draws has. */
export function addOutputOptions(command: Command, { generate: t, groups }: Messages): Command {
  return command
    .optionsGroup(groups.output)
    .option("--out, --output <pattern>", t.output)
    .option("--overwrite", t.overwrite)
    .option("--json", t.json)
    .option("--no-preview", t.preview);
}

/** Options about what is drawn and how often, whatever it is drawn from. */
export function addSubjectOptions(command: Command, { generate: t, groups }: Messages): Command {
  return command
    .optionsGroup(groups.picture)
    .option("--negative <text>", t.negative)
    .option("--count <n>", t.count, number("--count"))
    .option("--seed <n>", t.seed, number("--seed"));
}

/** Options about sampling, which every command that draws has. */
export function addSamplingOptions(command: Command, { generate: t, groups }: Messages): Command {
  return command
    .optionsGroup(groups.sampling)
    .option("--steps <n>", t.steps, number("--steps"))
    .option("--guidance <w>", t.guidance, number("--guidance"))
    .option("--guidance-rescale <x>", t.guidanceRescale, number("--guidance-rescale"))
    .option("--guidance-interval <A,B>", t.guidanceInterval, interval("--guidance-interval"))
    .option("--threshold <quantile>", t.threshold, number("--threshold"))
    .option("--clip <x>", t.clip, number("--clip"))
    .option("--sampler <name>", t.sampler(list(Object.keys(SAMPLERS))))
    .option("--spacing <name>", t.spacing(list(SPACINGS)))
    .option("--profile <name>", t.profile(list(Object.keys(PROFILES))))
    .option("--batch-text <how>", t.batchText)
    .option("--rng <name>", t.rng(list(Object.keys(NOISE_SOURCES))));
}

/** `kandinsky generate`: draws pictures from text. */
export const generate: CommandDefinition = {
  define: (command, text) => {
    const { generate: t, groups } = text;
    command.usage(t.usage).argument("[prompt...]", t.prompt);
    command
      .optionsGroup(groups.picture)
      .option("--prompts <file>", t.prompts)
      .option("--size <WxH>", t.size, size("--size"))
      .option("--ratio <W:H>", t.ratio, ratio("--ratio"));
    addSubjectOptions(command, text);
    addSamplingOptions(command, text);
    addOutputOptions(command, text)
      .option("--format <name>", t.format)
      .option("--sheet", t.sheet)
      .option("--resume <file>", t.resume);
    addMachineOptions(command, text).addHelpText("after", examplesOf(t.examples, text));
  },
  run: async (context, command) => {
    const { runGenerate } = await import("../generate/run.ts");
    return runGenerate(context, command);
  },
};
