import { z } from "zod";
import { PROFILES, type SamplerName } from "../../src/diffusion/mod.ts";
import { type Conditioning, planText, projectionInput, type TextPlan } from "../../src/pipelines/mod.ts";
import { concatRows, row } from "../../src/tensor/mod.ts";
import { type Context, int32, stack } from "./context.ts";
import { imageCase, inpaintCase, maskCase } from "./edits.ts";
import { type Fixture, toleranceNamed } from "./fixture.ts";
import { readJsonAs } from "./folder.ts";
import { EXACT, reasonOf } from "./report.ts";
import {
  compareIds,
  comparePictures,
  cutRows,
  expectThere,
  maskOf,
  padded,
  STEP,
  settingsOf,
  startRun,
} from "./runs.ts";

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

/** What each kind of case in the index is run by. */
const RUNNERS: Readonly<Record<string, Runner>> = {
  "text-to-image, diffusers": diffusersCase,
  "native text-to-image": (context, name, about, fixture) =>
    nativeCase(context, name, about, fixture, "native"),
  "native Flash": (context, name, about, fixture) => nativeCase(context, name, about, fixture, "flash"),
  "image-to-image, diffusers": imageCase,
  "native inpainting": inpaintCase,
  "native mask and image preparation": maskCase,
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
    start: fixture.float32("latents_init"),
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
    start: fixture.float32("x_init"),
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
