import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import {
  evaluationTimes,
  PROFILES,
  planLadder,
  SAMPLERS,
  type SamplerName,
  type SamplerState,
} from "../../src/diffusion/mod.ts";
import { pictureFromTensor } from "../../src/image/mod.ts";
import {
  type Conditioning,
  contextOf,
  type DenoisingSettings,
  denoiserOfBatch,
  encodeText,
  MAX_TOKENS,
  type PreparedUNet,
  planText,
  projectionInput,
  type TextPlan,
  unetMasks,
} from "../../src/pipelines/mod.ts";
import { concatRows, row, type Tensor } from "../../src/tensor/mod.ts";
import { type Context, entryOf, int32, type LoadedModel, stack } from "./context.ts";
import { type Fixture, toleranceNamed } from "./fixture.ts";
import { readJsonAs } from "./folder.ts";
import { comparePicture } from "./pictures.ts";
import { EXACT, reasonOf } from "./report.ts";

export const PIPELINES_INDEX = "pipelines/index.json";

const entry = z.looseObject({ kind: z.string(), model: z.string().optional() });
export type PipelineEntry = z.infer<typeof entry>;

export function pipelineIndex(folder: string): Promise<Record<string, PipelineEntry>> {
  return readJsonAs(folder, PIPELINES_INDEX, z.record(z.string(), entry));
}

/** The folder of a whole model in `tiny-k3 + native/null_embedding`. */
export function modelOf({ model }: PipelineEntry): string {
  return /^\S*/.exec(model ?? "")![0];
}

type Runner = (context: Context, name: string, entry: PipelineEntry, fixture: Fixture) => Promise<void>;

const later: Runner = async (_, name, __, fixture) => fixture.later(name, fixture.left());

/** What each kind of case in the index is run by. */
const RUNNERS: Readonly<Record<string, Runner>> = {
  "text-to-image, diffusers": diffusersCase,
  "native text-to-image": (context, name, about, fixture) =>
    nativeCase(context, name, about, fixture, "native"),
  "native Flash": (context, name, about, fixture) => nativeCase(context, name, about, fixture, "flash"),
  "image-to-image, diffusers": later,
  "native inpainting": later,
  "native mask and image preparation": later,
};

/** Whole pipelines from stored noise, through the product's own parts. */
export async function pipelines(context: Context): Promise<void> {
  for (const [name, about] of Object.entries(await pipelineIndex(context.folder))) {
    const file = `pipelines/${name}.safetensors`;
    const fixture = context.fixture(file);
    const run = Object.hasOwn(RUNNERS, about.kind) ? RUNNERS[about.kind] : undefined;
    if (run === undefined) context.report.fail(`pipelines ${name}`, `an unknown kind of case: ${about.kind}`);
    else if (fixture === undefined) context.report.fail(`pipelines ${name}`, `${file} is not there`);
    else {
      try {
        await run(context, name, about, fixture);
      } catch (error) {
        context.report.fail(`pipelines ${name}`, reasonOf(error));
      }
    }
  }
}

const ids = z.array(z.array(z.int()));
const diffusersSettings = z.looseObject({
  prompts: z.array(z.string()),
  negative_prompt: z.union([z.string(), z.array(z.string())]).nullish(),
  guidance_scale: z.number(),
  steps: z.int(),
  num_images_per_prompt: z.int().default(1),
  input_ids: ids.nullish(),
  negative_input_ids: ids.nullish(),
});

async function diffusersCase(context: Context, name: string, about: PipelineEntry, fixture: Fixture) {
  const settings = diffusersSettings.parse(about);
  const model = await context.model(modelOf(about));
  const { prompts, num_images_per_prompt: copies, guidance_scale: guidance } = settings;
  const negatives = prompts.map((_, k) =>
    Array.isArray(settings.negative_prompt)
      ? settings.negative_prompt[k]
      : (settings.negative_prompt ?? undefined),
  );
  const pictures = prompts.flatMap((prompt, k) =>
    Array.from({ length: copies }, () => ({ prompt, negative: negatives[k] })),
  );
  const guided = PROFILES.diffusers.guides(guidance);
  const plan = planText(model.opened.tokenizer, pictures, { profile: "diffusers", guided, joint: true });
  compareIds(
    context,
    `${PIPELINES_INDEX} ${name} input_ids`,
    plan,
    everyNth(plan.conditional, copies),
    settings.input_ids,
  );
  if (guided) {
    const halves = everyNth(plan.unconditional, copies);
    compareIds(
      context,
      `${PIPELINES_INDEX} ${name} negative_input_ids`,
      plan,
      halves,
      settings.negative_input_ids,
    );
  }
  const tiled = tileMasks(plan, prompts.length);
  const run = await startRun(context, model, fixture, {
    plan: tiled,
    sampler: "ddpm",
    steps: settings.steps,
    start: "latents_init",
    nullEmbedding: undefined,
    settings: settingsOf("diffusers", guidance, undefined),
  });
  const halves = [...tiled.unconditional, ...tiled.conditional];
  const length = halves[0]!.length;
  const embeddings = projectionInput(run.hidden, halves, tiled.rows, "diffusers");
  const x = fixture.float32("latents_init");
  const first = guided ? concatRows([x, x]) : x;
  expectThere(fixture, {
    unet_prompt_embeds: cutRows(embeddings, length),
    unet_attention_mask: maskOf(halves, length),
    unet_output_step0: await run.prepared.evaluate(first, 0),
    timesteps: int32([run.times.length], run.times),
  });
  const states = await run.draw();
  expectThere(fixture, { step_latents: stack(states), latents: states.at(-1)! });
  if (fixture.has("image")) fixture.expect("image", await model.movq.decode(row(states.at(-1)!, 0)));
  await comparePictures(context, name, model, states.at(-1)!, "nearest");
  await run.prepared.release();
}

const nativeSettings = z.looseObject({
  text: z.string(),
  negative_text: z.string().nullish(),
  steps: z.int(),
  times: z.array(z.int()),
  guidance_scale: z.number().nullish(),
  quantile: z.number().nullish(),
  images: z.int(),
});

async function nativeCase(
  context: Context,
  name: string,
  about: PipelineEntry,
  fixture: Fixture,
  sampler: SamplerName,
) {
  const settings = nativeSettings.parse(about);
  const model = await context.model(modelOf(about));
  const picture = { prompt: settings.text, negative: settings.negative_text ?? undefined };
  const guidance = settings.guidance_scale ?? 0;
  const plan = planText(
    model.opened.tokenizer,
    Array.from({ length: settings.images }, () => picture),
    { profile: "native", guided: PROFILES.native.guides(guidance), joint: false },
  );
  const nullEmbedding = fixture.has("null_embedding") ? fixture.float32("null_embedding").data : undefined;
  const run = await startRun(context, model, fixture, {
    plan,
    sampler,
    steps: settings.steps,
    start: "x_init",
    nullEmbedding,
    settings: settingsOf("native", guidance, settings.quantile ?? undefined),
  });
  const { times } = settings;
  const named = `${PIPELINES_INDEX} ${name} times`;
  context.report.compare(named, EXACT, int32([run.times.length], run.times), int32([times.length], times));
  const at = plan.unconditional.length;
  for (const [prefix, half, index] of [
    ["", plan.conditional[0]!, at],
    ["negative_", plan.unconditional[0], 0],
  ] as const) {
    if (half?.row === undefined) continue;
    expectThere(fixture, {
      [`${prefix}input_ids`]: padded(plan.rows[half.row]!.ids),
      [`${prefix}context`]: cutRows(row(run.context, index), half.length),
      [`${prefix}context_mask`]: maskOf([half], half.length),
    });
  }
  const states = await run.draw();
  expectThere(fixture, { x: stack(states), latents: states.at(-1)! });
  if (sampler === "native") {
    const stored = stack(await run.drawFromStored(fixture.float32("x")));
    const file = `${fixture.file} x, each step from the stored one`;
    const tolerance = toleranceNamed(context.manifest, STEP.name) ?? STEP;
    context.report.compare(file, tolerance, stored, fixture.tensor("x"));
  }
  await comparePictures(context, name, model, states.at(-1)!, "truncate");
  await run.prepared.release();
}

/** Of a single native step; a free run adds up the rounding of all. From the golden data's README. */
const STEP = { name: "native-step", abs: 2e-3, rel: 0 };

interface RunOptions {
  readonly plan: TextPlan;
  readonly sampler: SamplerName;
  readonly steps: number;
  /** Name of the stored latent to begin with. */
  readonly start: string;
  readonly nullEmbedding: Float32Array | undefined;
  readonly settings: Omit<DenoisingSettings, "sampler">;
}

/** What `Kandinsky3.generate` does with one batch, with stored noise, and with what happens inside open to view. */
async function startRun(
  { workshop }: Context,
  { opened, unet }: LoadedModel,
  fixture: Fixture,
  { plan, sampler, steps, start, nullEmbedding, settings }: RunOptions,
) {
  const { text, scheduler } = opened;
  const hidden = await encodeText(workshop, text.part, text.config, plan);
  const context = await contextOf(unet, plan, hidden, settings.profile, nullEmbedding);
  const ladder = planLadder(sampler, scheduler, { steps, spacing: "uniform" });
  const x = fixture.float32(start);
  const [, , height, width] = x.shape as [number, number, number, number];
  const halves = [...plan.unconditional, ...plan.conditional];
  const times = evaluationTimes(ladder);
  const prepared: PreparedUNet = await unet.prepare({
    context,
    ...unetMasks(halves, plan.paddedLength, settings.profile),
    times,
    height,
    width,
  });
  const noise = fixture.float32("noise");
  const denoiser = denoiserOfBatch(prepared, plan, { ...settings, sampler }, scheduler);
  const runFrom = (state: SamplerState) =>
    SAMPLERS[sampler].run(denoiser, state, ladder, (index) => entryOf(noise, index));
  return {
    hidden,
    context,
    times,
    prepared,
    /** The latents after each step. */
    draw: async () => {
      const states: Tensor<"float32">[] = [];
      for await (const step of runFrom({ index: 0, x })) states.push(step.x);
      return states;
    },
    /** The same, but each step begins with the stored latent before it. */
    drawFromStored: async (stored: Tensor<"float32">) => {
      const states: Tensor<"float32">[] = [];
      for (const index of times.keys()) {
        const before = index === 0 ? x : entryOf(stored, index - 1);
        for await (const step of runFrom({ index, x: before })) {
          states.push(step.x);
          break;
        }
      }
      return states;
    },
  };
}

function settingsOf(
  profile: DenoisingSettings["profile"],
  guidance: number,
  threshold: number | undefined,
): Omit<DenoisingSettings, "sampler"> {
  return { profile, guidance, guidanceRescale: 0, guidanceInterval: undefined, threshold, clip: undefined };
}

/**
 * diffusers repeats the texts of several pictures a prompt (a a b b) but tiles their masks (a b a b); trap 6. The
 * product does not, so it is done to its plan here.
 */
function tileMasks(plan: TextPlan, prompts: number): TextPlan {
  const tile = (halves: readonly Conditioning[]) => {
    const copies = halves.length / prompts;
    return halves.map((half, k) => ({ ...half, attended: halves[(k % prompts) * copies]!.attended }));
  };
  return { ...plan, conditional: tile(plan.conditional), unconditional: tile(plan.unconditional) };
}

function everyNth<T>(items: readonly T[], step: number): T[] {
  return items.filter((_, k) => k % step === 0);
}

function compareIds(
  { report }: Context,
  name: string,
  plan: TextPlan,
  halves: readonly Conditioning[],
  wanted: readonly (readonly number[])[] | null | undefined,
): void {
  wanted?.forEach((theirs, k) => {
    const at = halves[k]?.row;
    const mine = at === undefined ? [] : plan.rows[at]!.ids;
    report.compare(`${name} ${k}`, EXACT, int32([mine.length], mine), int32([theirs.length], theirs));
  });
}

/** The first `length` rows of every text in [B,L,D]. */
function cutRows(t: Tensor<"float32">, length: number): Tensor<"float32"> {
  const [batch, full, width] = t.shape as [number, number, number];
  const parts = Array.from({ length: batch }, (_, k) => {
    const from = k * full * width;
    return { ...t, shape: [length, width], data: t.data.subarray(from, from + length * width) };
  });
  return stack(parts);
}

/** Masks [B,L] of the halves as diffusers and the original store them. */
function maskOf(halves: readonly Conditioning[], length: number): Tensor<"int32"> {
  const values = halves.flatMap(({ attended }) => Array.from({ length }, (_, i) => (i < attended ? 1 : 0)));
  return int32([halves.length, length], values);
}

function padded(list: readonly number[]): Tensor<"int32"> {
  return int32([MAX_TOKENS], [...list, ...new Array<number>(MAX_TOKENS - list.length).fill(0)]);
}

function expectThere(fixture: Fixture, seen: Readonly<Record<string, Tensor>>): void {
  for (const [name, tensor] of Object.entries(seen)) if (fixture.has(name)) fixture.expect(name, tensor);
}

/** The guide of the golden data's README for stored pictures; diffusers rounds, the original truncates (trap 8). */
const PICTURES = {
  nearest: { name: "picture", largest: 4, mean: 0.5 },
  truncate: { name: "picture-native", largest: 10, mean: 0.5 },
} as const;

async function comparePictures(
  context: Context,
  name: string,
  { movq }: LoadedModel,
  latents: Tensor<"float32">,
  rounding: keyof typeof PICTURES,
): Promise<void> {
  for (let k = 0; k < latents.shape[0]!; k++) {
    const file = `pipelines/${name}.${k}.png`;
    if (!existsSync(join(context.folder, file))) continue;
    const picture = pictureFromTensor(await movq.decode(row(latents, k)), rounding);
    await comparePicture(context, file, picture, PICTURES[rounding]);
  }
}
