import type { NoiseLevel } from "../schedule.ts";

/** Mean (coefficients of x0 and x) and standard deviation of x at `to`, given x at `from` and the clean latent. */
export interface Posterior {
  readonly ofX0: number;
  readonly ofX: number;
  readonly deviation: number;
}

/**
 * q(x_to | x_from, x0) of the forward process (Ho et al. 2020, equations 6 and 7, for any two levels). The original
 * code writes the same step as DDIM with eta 1; the coefficients are equal.
 */
export function posterior(from: NoiseLevel, to: NoiseLevel): Posterior {
  const kept = (from.signal / to.signal) ** 2;
  const noiseShare = (to.noise / from.noise) ** 2;
  return {
    ofX0: (to.signal * (1 - kept)) / from.noise ** 2,
    ofX: Math.sqrt(kept) * noiseShare,
    deviation: Math.sqrt((1 - kept) * noiseShare),
  };
}
