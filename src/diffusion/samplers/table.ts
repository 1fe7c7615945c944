import { KandinskyError, nearest } from "../../base/mod.ts";
import type { SchedulerConfig } from "../config.ts";
import {
  ddimLadder,
  flashLadder,
  gridLadder,
  karrasLadder,
  type Ladder,
  type LadderPlan,
  multistepLadder,
  nativeLadder,
  type Spacing,
} from "../ladder.ts";
import { firstStepForStrength } from "../timesteps.ts";
import { ddim } from "./ddim.ts";
import { ddpm } from "./ddpm.ts";
import { dpmSolver2M, dpmSolver2MSde } from "./dpm-solver.ts";
import type { RunSampler } from "./driver.ts";
import { euler, eulerAncestral } from "./euler.ts";
import { flash } from "./flash.ts";
import { native } from "./native.ts";

export interface Sampler {
  /** Name for people. */
  readonly label: string;
  readonly run: RunSampler;
  /** Ladder of each spacing the sampler knows. */
  readonly ladders: { readonly uniform: LadderPlan; readonly karras?: LadderPlan };
  /** Number of steps that cannot be chosen. */
  readonly fixedSteps?: number;
  /** Image-to-image leaves out the first steps, by their share as diffusers does, or by their timesteps. */
  readonly entry: "share" | "time";
}

/** All samplers, by the name that options use. */
export const SAMPLERS = {
  ddpm: { label: "DDPM", run: ddpm, ladders: { uniform: gridLadder }, entry: "share" },
  native: { label: "Kandinsky 3 native", run: native, ladders: { uniform: nativeLadder }, entry: "time" },
  flash: {
    label: "Kandinsky 3.1 Flash",
    run: flash,
    ladders: { uniform: flashLadder },
    fixedSteps: 4,
    entry: "time",
  },
  ddim: { label: "DDIM", run: ddim, ladders: { uniform: ddimLadder }, entry: "share" },
  euler: {
    label: "Euler",
    run: euler,
    ladders: { uniform: gridLadder, karras: karrasLadder },
    entry: "share",
  },
  "euler-ancestral": {
    label: "Euler a",
    run: eulerAncestral,
    ladders: { uniform: gridLadder, karras: karrasLadder },
    entry: "share",
  },
  "dpm++2m": {
    label: "DPM++ 2M",
    run: dpmSolver2M,
    ladders: { uniform: multistepLadder, karras: karrasLadder },
    entry: "share",
  },
  "dpm++2m-sde": {
    label: "DPM++ 2M SDE",
    run: dpmSolver2MSde,
    ladders: { uniform: multistepLadder, karras: karrasLadder },
    entry: "share",
  },
} as const satisfies Record<string, Sampler>;

/** The name of a sampler. */
export type SamplerName = keyof typeof SAMPLERS;

/** Checks a sampler's name; throws `option_unknown` with the nearest one. */
export function samplerNamed(name: string): SamplerName {
  if (Object.hasOwn(SAMPLERS, name)) return name as SamplerName;
  const names = Object.keys(SAMPLERS);
  const close = nearest(name, names);
  throw new KandinskyError("option_unknown", {
    what: "unknown sampler",
    where: "sampler",
    seen: JSON.stringify(name),
    wanted: names.join(", "),
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}

/** How a run is laid out. */
export interface LadderSettings {
  readonly steps: number;
  readonly spacing: Spacing;
  /** Of image-to-image, 0 to 1: the steps before it are left out. */
  readonly strength?: number | undefined;
}

/**
 * The noise levels of a run. Throws `option_invalid` for a number of steps that is not a whole number from 1 to what
 * the schedule has, for a spacing that the sampler does not know, and for a strength that leaves no step.
 */
export function planLadder(
  name: SamplerName,
  config: SchedulerConfig,
  { steps, spacing, strength }: LadderSettings,
): Ladder {
  if (!Number.isSafeInteger(steps) || steps < 1) {
    throw new KandinskyError("option_invalid", {
      what: "cannot lay out the steps",
      where: "steps",
      seen: String(steps),
      wanted: "a whole number from 1",
    });
  }
  const { ladders, label }: Sampler = SAMPLERS[name];
  const plan = ladders[spacing];
  if (plan === undefined) {
    throw new KandinskyError("option_invalid", {
      what: `${label} has no such spacing`,
      where: "spacing",
      seen: spacing,
      wanted: Object.keys(ladders).join(" or "),
    });
  }
  const ladder = plan(config, steps);
  return strength === undefined ? ladder : ladder.slice(firstStep(name, ladder, config, strength));
}

/** The step at which image-to-image enters a ladder. */
function firstStep(name: SamplerName, ladder: Ladder, config: SchedulerConfig, strength: number): number {
  const steps = ladder.length - 1;
  const last = config.trainTimesteps - 1;
  const byTime = SAMPLERS[name].entry === "time";
  const first = byTime
    ? ladder.findIndex(({ time }) => time <= last * strength)
    : firstStepForStrength(steps, strength);
  if (first < steps) return first;
  const least = byTime ? ladder[steps - 1]!.time / last : 1 / steps;
  throw new KandinskyError("option_invalid", {
    what: "no step is left at this strength",
    where: "strength",
    seen: `${strength}`,
    wanted: `at least ${Math.ceil(least * 1000) / 1000}`,
    hint: "take a larger strength or more steps",
  });
}
