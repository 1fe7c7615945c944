import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { addNoise, PROFILES, planLadder } from "../../src/diffusion/mod.ts";
import {
  decodePicture,
  growMask,
  resizeBicubic,
  resizeMask,
  type SoftMask,
  tensorFromPicture,
} from "../../src/image/mod.ts";
import { inpaintingCanvas, maskedLatent, openUNet, planText, UNetRunner } from "../../src/pipelines/mod.ts";
import { concatRows, row, type Tensor } from "../../src/tensor/mod.ts";
import { type Context, int32, stack } from "./context.ts";
import { type Fixture, toleranceNamed } from "./fixture.ts";
import { comparePicture } from "./pictures.ts";
import { EXACT } from "./report.ts";
import { comparePictures, cutRows, expectThere, maskOf, STEP, settingsOf, startRun } from "./runs.ts";

const imageSettings = z.looseObject({
  model: z.string(),
  prompts: z.array(z.string()),
  negative_prompt: z.array(z.string()).nullish(),
  images: z.array(z.string()),
  strength: z.number(),
  steps: z.int(),
  guidance_scale: z.number(),
});

/** Image-to-image of diffusers, from stored noise. */
export async function imageCase(context: Context, name: string, about: object, fixture: Fixture) {
  const settings = imageSettings.parse(about);
  const { prompts, steps, strength, guidance_scale: guidance } = settings;
  const model = await context.model(settings.model);
  const pictures = await Promise.all(settings.images.map((file) => pictureOf(context, file)));
  const encoded = concatRows(await model.movq.encode(pictures.map(tensorFromPicture)));
  const sampler = PROFILES.diffusers.sampler;
  const [first] = planLadder(sampler, model.opened.scheduler, { steps, spacing: "uniform", strength });
  const start = addNoise(encoded, fixture.float32("noise_init"), first!);
  const plan = planText(
    model.opened.tokenizer,
    prompts.map((prompt, k) => ({ prompt, negative: settings.negative_prompt?.[k] })),
    { profile: "diffusers", guided: PROFILES.diffusers.guides(guidance), joint: true },
  );
  const run = await startRun(context, model, fixture, {
    plan,
    sampler,
    steps,
    strength,
    start,
    nullEmbedding: undefined,
    settings: settingsOf("diffusers", guidance, undefined),
  });
  const states = await run.draw();
  expectThere(fixture, {
    encoded,
    latents_init: start,
    timesteps: int32([run.times.length], run.times),
    step_latents: stack(states),
    latents: states.at(-1)!,
  });
  await comparePictures(context, name, model, states.at(-1)!, "nearest");
  await run.prepared.release();
}

async function pictureOf({ folder }: Context, file: string) {
  return decodePicture(await readFile(join(folder, "pipelines", file)), file);
}

const inpaintSettings = z.looseObject({
  text: z.string(),
  image: z.string(),
  mask: z.string(),
  steps: z.int(),
  times: z.array(z.int()),
  guidance_scale: z.number(),
  quantile: z.number(),
  images: z.int(),
});

/** The U-Net and the other parts that the index names for inpainting. */
const INPAINTING_UNET = "tiny-k3-inpaint/unet";
const OTHER_PARTS = "tiny-k3";

/** Inpainting of the original code with a U-Net of 9 input channels, from stored noise. */
export async function inpaintCase(context: Context, name: string, about: object, fixture: Fixture) {
  const settings = inpaintSettings.parse(about);
  const { opened, movq } = await context.model(OTHER_PARTS);
  const { config, part } = await openUNet(join(context.folder, INPAINTING_UNET));
  const unet = new UNetRunner(context.workshop, part, config, context.passes);
  const picture = await pictureOf(context, firstWord(settings.image));
  const mask = await maskOfFile(context, firstWord(settings.mask));
  const keep = resizeMask(mask, picture.width, picture.height).map((value) => 1 - value);
  const extra = await maskedLatent(picture, keep, { movq, cell: opened.info.cell });
  const { guidance_scale: guidance, quantile, steps, images, text } = settings;
  const plan = planText(
    opened.tokenizer,
    Array.from({ length: images }, () => ({ prompt: text })),
    { profile: "native", guided: PROFILES.native.guides(guidance), joint: false },
  );
  const run = await startRun(context, { opened, unet }, fixture, {
    plan,
    sampler: "native",
    steps,
    start: fixture.float32("x_init"),
    extra,
    nullEmbedding: fixture.float32("null_embedding").data,
    settings: settingsOf("native", guidance, quantile),
  });
  const [seen, wanted] = [run.times, settings.times].map((times) => int32([times.length], times));
  context.report.compare(`${name} times`, EXACT, seen!, wanted!);
  const states = await run.draw();
  const half = plan.conditional[0]!;
  const [, , ...map] = extra.shape as [number, number, number, number];
  const cells = map[0]! * map[1]!;
  expectThere(fixture, {
    keep_mask_latent: { ...extra, shape: [1, 1, ...map], data: extra.data.subarray(0, cells) },
    masked_latent: { ...extra, shape: [1, extra.shape[1]! - 1, ...map], data: extra.data.subarray(cells) },
    context: cutRows(row(run.context, plan.unconditional.length), half.length),
    context_mask: maskOf([half], half.length),
    x: stack(states),
    latents: states.at(-1)!,
  });
  const stored = stack(await run.drawFromStored(fixture.float32("x")));
  const tolerance = toleranceNamed(context.manifest, STEP.name) ?? STEP;
  context.report.compare(
    `${fixture.file} x, each step from the stored one`,
    tolerance,
    stored,
    fixture.tensor("x"),
  );
  await comparePictures(context, name, { movq }, states.at(-1)!, "truncate");
  await run.prepared.release();
  await unet.dispose();
}

const maskSettings = z.looseObject({
  resize_output: z.string(),
  resize_sizes_wxh: z.record(z.string(), z.tuple([z.int(), z.int()])),
});

/** The released model's area and unit, by which the original prepares pictures. */
const RELEASED = { side: 1024, unit: 64 };

/** How the original brings pictures and masks to size, and grows masks. */
export async function maskCase(context: Context, name: string, about: object, fixture: Fixture) {
  const { resize_output: output, resize_sizes_wxh: sizes } = maskSettings.parse(about);
  for (const [given, wanted] of Object.entries(sizes)) {
    const [width, height] = given.split("x").map(Number) as [number, number];
    const seen = inpaintingCanvas({ width, height }, RELEASED, false);
    const label = `${name} canvas of ${given}`;
    context.report.compare(label, EXACT, int32([2], [seen.width, seen.height]), int32([2], wanted));
  }
  const wanted = await pictureOf(context, output);
  const resized = resizeBicubic(await pictureOf(context, "resize-input.png"), wanted.width, wanted.height);
  await comparePicture(context, `pipelines/${output}`, resized, { name: "picture", largest: 4, mean: 0.5 });
  const mask = await maskOfFile(context, "resize-input-mask.png");
  const values = resizeMask(mask, wanted.width, wanted.height);
  const small = fixture.tensor("prepare_mask_in") as Tensor<"uint8">;
  const [height, width] = small.shape as [number, number];
  const grown = growMask({ width, height, data: small.data.map((value) => 255 * value) }, ORIGINAL_GROWTH);
  expectThere(fixture, {
    resized_mask: { dtype: "float32", shape: [wanted.height, wanted.width], data: values },
    prepare_mask_out: { ...small, data: grown.data.map((value) => value / 255) },
  });
}

/** Pixels by which `prepare_mask` grows a hole. */
const ORIGINAL_GROWTH = 6;

async function maskOfFile(context: Context, file: string): Promise<SoftMask> {
  const { width, height, data } = await pictureOf(context, file);
  return { width, height, data: data.filter((_, i) => i % 3 === 0) };
}

function firstWord(text: string): string {
  return /^\S*/.exec(text)![0];
}
