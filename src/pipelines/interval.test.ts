import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { evaluationTimes } from "../diffusion/mod.ts";
import { ladderOf } from "./denoise.node.ts";
import type { RunState } from "./events.ts";
import type { Job } from "./job.ts";
import { Kandinsky3 } from "./kandinsky3.node.ts";
import { openModel } from "./model.node.ts";
import { planJob, sizedJob } from "./plan-job.node.ts";

const GOLDEN = fileURLToPath(new URL("../../../golden/", import.meta.url));
const REQUEST = { prompt: "два кота", width: 64, height: 64, steps: 4, seed: 3 } as const;

/** The tiny model with a null embedding, so that both profiles are there. */
let folder: string;
let model: Kandinsky3;
beforeAll(async () => {
  folder = join(await mkdtemp(join(tmpdir(), "kandinsky-interval-")), "tiny");
  const filter = (source: string) => basename(source) !== ".kandinsky";
  await cp(join(GOLDEN, "tiny-k3"), folder, { recursive: true, filter });
  await cp(join(GOLDEN, "native/null_embedding.safetensors"), join(folder, "null_embedding.safetensors"));
  model = await Kandinsky3.load({ model: folder, threads: 1 });
});
afterAll(async () => {
  await model.dispose();
  await rm(join(folder, ".."), { recursive: true, force: true });
});

interface Drawn {
  /** Latents after each step. */
  readonly latents: readonly Float32Array[];
  readonly states: readonly RunState[];
  readonly picture: Uint8Array | undefined;
}

/** Draws from the beginning, or from a state on, until so many steps of the job are done. */
async function draw(job: Job, resume?: RunState, until = Number.POSITIVE_INFINITY): Promise<Drawn> {
  const latents: Float32Array[] = [];
  const states: RunState[] = [];
  let picture: Uint8Array | undefined;
  for await (const event of model.generate(job, resume === undefined ? {} : { resume })) {
    if (event.type === "picture") picture = event.picture.data;
    if (event.type !== "step") continue;
    latents.push(event.state.current!.sampler.x.data);
    states.push(event.state);
    if (event.index + 1 === until) break;
  }
  return { latents, states, picture };
}

function expectNear({ latents }: Drawn, wanted: readonly Float32Array[]): void {
  expect(latents.length).toBe(wanted.length);
  for (const [index, latent] of wanted.entries()) {
    const difference = worst(latents[index]!, latent);
    expect(difference, `step ${index}: worst difference ${difference}`).toBeLessThanOrEqual(1e-5);
  }
}

function worst(a: Float32Array, b: Float32Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

async function jobsOf(profile: "native" | "diffusers") {
  const { scheduler } = await openModel(folder);
  const of = (more: object) => model.resolve({ ...REQUEST, profile, ...more });
  const guided = await of({ guidance: 3 });
  const times = evaluationTimes(ladderOf(guided, scheduler));
  // The first step and the last are left without.
  return { of, guided, plain: await of({ guidance: 0 }), interval: [times[2]!, times[1]!] as const };
}

test.each(["native", "diffusers"] as const)(
  "Kandinsky3.generate: with an interval each step is that of a run with guidance, or without, %s",
  async (profile) => {
    const { of, guided, plain, interval } = await jobsOf(profile);
    const seen = await draw(await of({ guidance: 3, guidanceInterval: interval }));
    const before = await draw(plain, undefined, 1);
    const within = await draw(guided, before.states.at(-1), 3);
    const after = await draw(plain, within.states.at(-1));
    expectNear(seen, [...before.latents, ...within.latents, ...after.latents]);
  },
);

test("Kandinsky3.generate: an interval over all times changes no bit, one beside them all is guidance 0", async () => {
  const { of, guided, plain } = await jobsOf("diffusers");
  const wanted = await draw(guided);
  const all = await draw(await of({ guidance: 3, guidanceInterval: [0, 999] }));
  expect(all.picture).toEqual(wanted.picture);
  const none = await draw(await of({ guidance: 3, guidanceInterval: [0, 0] }));
  expectNear(none, (await draw(plain)).latents);
  expect(worst(none.latents.at(-1)!, wanted.latents.at(-1)!)).toBeGreaterThan(1e-2);
});

test("Kandinsky3.generate: an interval gives the same where the two networks cannot be loaded together", async () => {
  const { of, interval } = await jobsOf("diffusers");
  const job = await of({ guidance: 3, guidanceInterval: interval });
  const wanted = await draw(job);
  const opened = await openModel(folder);
  const least = (await planJob(opened, sizedJob(opened, job), { bytes: 64e9 })).stages.map(
    ({ privateBytes }) => privateBytes,
  );
  await using tight = await Kandinsky3.load({ model: folder, threads: 1, memory: Math.max(...least) + 3e8 });
  const pictures: Uint8Array[] = [];
  const plans: boolean[] = [];
  for await (const event of tight.generate(job)) {
    if (event.type === "plan") plans.push(event.plan.keepsLoaded);
    if (event.type === "picture") pictures.push(event.picture.data);
  }
  expect(plans).toEqual([false]);
  expect(pictures).toEqual([wanted.picture]);
});

test("planJob: with an interval both kinds of steps are planned, and their work is counted", async () => {
  const { of, guided, interval } = await jobsOf("diffusers");
  const opened = await openModel(folder);
  const planOf = (job: Job) => planJob(opened, sizedJob(opened, job), { bytes: 64e9 });
  const plan = await planOf(await of({ guidance: 3, guidanceInterval: interval }));
  expect(plan.stages.map(({ stage, passes }) => [stage, passes])).toEqual([
    ["encode", 1],
    ["prepare", 1],
    ["step", 2],
    ["guided step", 2],
    ["decode", 1],
  ]);
  expect(plan.flops).toBeLessThan((await planOf(guided)).flops);
});
