import type { Command } from "commander";
import { KandinskyError } from "../../../src/base/mod.ts";
import {
  embeddedModelFor,
  Kandinsky3,
  type ModelInfo,
  type Operation,
  type PictureRequest,
} from "../../../src/pipelines/mod.ts";
import type { Context } from "../context.ts";
import { checkResumed } from "../resumed-options.ts";
import { draw, given } from "./draw.ts";
import { deviceOf, formatOf, type GenerateOptions, requestOf } from "./options.ts";
import { planOutput } from "./output.ts";
import { readPrompts } from "./prompts.ts";
import { readResume } from "./resume-file.ts";

/** `kandinsky generate`. */
export async function runGenerate(context: Context, command: Command): Promise<number> {
  const options = command.opts<GenerateOptions>();
  if (options.resume !== undefined) return goOn(context, command, options, options.resume);
  const prompts = await readPrompts(command.args, options.prompts, context);
  const { picture } = splitOptions(options);
  return drawRequest(context, options, "generate", (info) => requestOf(prompts, picture, info));
}

/** Draws what a request says. Mistakes in options are found before the model is opened. */
export async function drawRequest(
  context: Context,
  options: GenerateOptions,
  operation: Operation,
  request: (info: ModelInfo) => PictureRequest,
): Promise<number> {
  const { output, overwrite = false, json = false, preview, cache, lora: loras } = options;
  const { threads, memory } = options;
  const device = deviceOf(options.device);
  const format = formatOf(options.format, output);
  const model = options.model ?? (await embeddedModelFor(operation));
  await using kandinsky = await Kandinsky3.load({
    cache,
    loras,
    model,
    ...given({ device, threads, memory }),
  });
  const job = await kandinsky.resolve(request(kandinsky.info));
  const plan = planOutput(output, format, overwrite, job.pictures.length);
  const sheet = options.sheet ?? false;
  await draw(context, kandinsky, job, { output: plan, sheet, json, preview, loras, device, threads, memory });
  return 0;
}

async function goOn(
  context: Context,
  command: Command,
  options: GenerateOptions,
  file: string,
): Promise<number> {
  checkResumed(command, ["preview"]);
  const data = await readResume(file);
  const device = deviceOf(options.device) ?? data.device;
  const threads = options.threads ?? data.threads;
  const model = options.model ?? data.model.folder;
  await using kandinsky = await Kandinsky3.load({
    cache: options.cache,
    model,
    loras: data.loras,
    ...given({ device, threads, memory: options.memory }),
  });
  if (kandinsky.info.name !== data.model.name) {
    throw new KandinskyError("option_invalid", {
      what: "the stopped run was of another model",
      where: model,
      seen: kandinsky.info.name,
      wanted: data.model.name,
    });
  }
  for (const [i, { hash, name }] of kandinsky.info.loras.entries()) {
    const { file: where, hash: wanted } = data.loras[i]!;
    if (hash === wanted) continue;
    const what = "the stopped run was with another LoRA of this name";
    throw new KandinskyError("option_invalid", { what, where, seen: `${name} ${hash}`, wanted });
  }
  const { job } = data.state;
  context.stderr.write(`${context.text.run.resumed(data.saved.length, job.pictures.length)}\n`);
  await draw(context, kandinsky, job, {
    output: data.output,
    sheet: data.sheet,
    json: options.json ?? false,
    preview: options.preview,
    loras: data.loras,
    device,
    threads,
    memory: options.memory,
    resumed: { data, file },
  });
  return 0;
}

/** The options that say what to draw, without those about files and the machine. */
export function splitOptions<O extends GenerateOptions>({
  output: _output,
  overwrite: _overwrite,
  json: _json,
  preview: _preview,
  model: _model,
  lora: _lora,
  device: _device,
  threads: _threads,
  memory: _memory,
  cache: _cache,
  format: _format,
  sheet: _sheet,
  resume: _resume,
  ...picture
}: O) {
  return { picture };
}
