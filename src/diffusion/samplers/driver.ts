import { combine, type Latent, type Term } from "../arithmetic.ts";
import type { Denoiser } from "../denoiser.ts";
import type { Ladder } from "../ladder.ts";
import type { NoiseLevel } from "../schedule.ts";

/** One finished step: all that is needed to go on from here. */
export interface Step {
  /** 0 to total - 1. */
  readonly index: number;
  readonly total: number;
  /** Timestep the network was evaluated at. */
  readonly t: number;
  /** The latent after the step. */
  readonly x: Latent;
  /** The clean latent predicted in the step: what a preview shows. */
  readonly x0: Latent;
}

/** Where a run begins or goes on. */
export interface SamplerState {
  /** Step to do next: 0 for a new picture, later for image-to-image or a resumed run. */
  readonly index: number;
  /** Latent at level `index`: N(0,1) for a new picture, `addNoise` of an encoded one. */
  readonly x: Latent;
  /** Clean latent predicted in the step before, where there was one. */
  readonly previousX0?: Latent;
}

/** The state from which a run goes on after `step`, with the results it would have had without a break. */
export function stateAfter(step: Step): SamplerState {
  return { index: step.index + 1, x: step.x, previousX0: step.x0 };
}

/** Standard normal noise for a step, shaped as the latent. Asked at most once a step, in order of the steps. */
export type StepNoise = (index: number) => Latent;

/** Runs the steps that are left, one network evaluation each. */
export type RunSampler = (
  denoiser: Denoiser,
  start: SamplerState,
  ladder: Ladder,
  noise: StepNoise,
) => AsyncGenerator<Step, void, void>;

/** What an update rule may look at. */
export interface Move {
  readonly from: NoiseLevel;
  readonly to: NoiseLevel;
  readonly x: Latent;
  readonly x0: Latent;
  readonly eps: Latent;
  /** Level and predicted clean latent of the step before, where there was one. */
  readonly previous?: { readonly level: NoiseLevel; readonly x0: Latent };
  readonly noise: () => Latent;
}

/** An update rule: the summands of the next latent. */
export type Update = (move: Move) => readonly [Term, ...Term[]];

/** The sampler of an update rule. */
export function samplerOf(update: Update): RunSampler {
  return async function* (denoiser, start, ladder, noise) {
    const total = ladder.length - 1;
    let { x, previousX0 } = start;
    for (let index = start.index; index < total; index++) {
      const from = ladder[index]!;
      const { x0, eps } = await denoiser(x, from, index);
      const before = ladder[index - 1];
      x = combine(
        ...update({
          from,
          to: ladder[index + 1]!,
          x,
          x0,
          eps,
          ...(previousX0 && before ? { previous: { level: before, x0: previousX0 } } : {}),
          noise: () => noise(index),
        }),
      );
      yield { index, total, t: from.time, x, x0 };
      previousX0 = x0;
    }
  };
}
