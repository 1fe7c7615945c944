import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { addNoise, PROFILES, planLadder } from "../../src/diffusion/mod.ts";
import { decodePicture, tensorFromPicture } from "../../src/image/mod.ts";
import { planText } from "../../src/pipelines/mod.ts";
import { concatRows } from "../../src/tensor/mod.ts";
import { type Context, int32, stack } from "./context.ts";
import type { Fixture } from "./fixture.ts";
import { comparePictures, expectThere, settingsOf, startRun } from "./runs.ts";

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
