import type { Term } from "../arithmetic.ts";
import { sigmaOf } from "../schedule.ts";
import { type Move, samplerOf } from "./driver.ts";

/** Euler's method on the probability flow of x / signal over sigma (Karras et al. 2022, algorithm 1 without churn). */
export const euler = samplerOf((move) => towards(move, sigmaOf(move.to)));

/** Euler steps that go below the next level and add noise up to it, as k-diffusion's ancestral sampler. */
export const eulerAncestral = samplerOf((move) => {
  const from = sigmaOf(move.from);
  const to = sigmaOf(move.to);
  const added = to * Math.sqrt(1 - (to / from) ** 2);
  const below = Math.sqrt(to ** 2 - added ** 2);
  const steps = towards(move, below);
  return added === 0 ? steps : [...steps, [move.to.signal * added, move.noise()]];
});

/** One Euler step from the level's sigma down to `sigma`, scaled for the next level. */
function towards({ from, to, x, x0 }: Move, sigma: number): [Term, Term] {
  const kept = sigma / sigmaOf(from);
  return [
    [(to.signal / from.signal) * kept, x],
    [to.signal * (1 - kept), x0],
  ];
}
