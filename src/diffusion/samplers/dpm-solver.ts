import type { Term } from "../arithmetic.ts";
import { type NoiseLevel, sigmaOf } from "../schedule.ts";
import { type Move, samplerOf } from "./driver.ts";

/** DPM-Solver++(2M), midpoint form (Lu et al. 2022, algorithm 2). */
export const dpmSolver2M = samplerOf((move) => {
  const { from, to, x } = move;
  const decay = sigmaOf(to) / sigmaOf(from);
  return [[(to.signal / from.signal) * decay, x], ...data(move, 1 - decay)];
});

/** SDE-DPM-Solver++(2M), midpoint form (the same paper, section 5 and appendix). */
export const dpmSolver2MSde = samplerOf((move) => {
  const { from, to, x, noise } = move;
  const decay = sigmaOf(to) / sigmaOf(from);
  const fresh = 1 - decay ** 2;
  const terms: [Term, ...Term[]] = [[(to.signal / from.signal) * decay ** 2, x], ...data(move, fresh)];
  return to.noise === 0 ? terms : [...terms, [to.noise * Math.sqrt(fresh), noise()]];
});

/**
 * The part of the exact solution due to the clean latent, whose change is extrapolated from the step before. First
 * order where there is no step before, and into the clean end, which is infinitely far in log sigma.
 */
function data({ from, to, x0, previous }: Move, weight: number): Term[] {
  const scale = to.signal * weight;
  if (previous === undefined || to.noise === 0) return [[scale, x0]];
  const half = logSigmaStep(from, to) / logSigmaStep(previous.level, from) / 2;
  return [
    [scale * (1 + half), x0],
    [-scale * half, previous.x0],
  ];
}

function logSigmaStep(from: NoiseLevel, to: NoiseLevel): number {
  return Math.log(sigmaOf(from) / sigmaOf(to));
}
