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
}

/** All samplers, by the name that options use. */
export const SAMPLERS = {
  ddpm: { label: "DDPM", run: ddpm, ladders: { uniform: gridLadder } },
  native: { label: "Kandinsky 3 native", run: native, ladders: { uniform: nativeLadder } },
  flash: { label: "Kandinsky 3.1 Flash", run: flash, ladders: { uniform: flashLadder }, fixedSteps: 4 },
  ddim: { label: "DDIM", run: ddim, ladders: { uniform: ddimLadder } },
  euler: { label: "Euler", run: euler, ladders: { uniform: gridLadder, karras: karrasLadder } },
  "euler-ancestral": {
    label: "Euler a",
    run: eulerAncestral,
    ladders: { uniform: gridLadder, karras: karrasLadder },
  },
  "dpm++2m": {
    label: "DPM++ 2M",
    run: dpmSolver2M,
    ladders: { uniform: multistepLadder, karras: karrasLadder },
  },
  "dpm++2m-sde": {
    label: "DPM++ 2M SDE",
    run: dpmSolver2MSde,
    ladders: { uniform: multistepLadder, karras: karrasLadder },
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

/**
 * The noise levels of a run. Throws `option_invalid` for a number of steps that is not a whole number from 1 to what
 * the schedule has, and for a spacing that the sampler does not know.
 */
export function planLadder(
  name: SamplerName,
  config: SchedulerConfig,
  { steps, spacing }: { readonly steps: number; readonly spacing: Spacing },
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
  return plan(config, steps);
}
