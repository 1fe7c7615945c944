import { samplerOf } from "./driver.ts";
import { posterior } from "./posterior.ts";

/** diffusers keeps the variance at or above 1e-20, so noise is drawn even in a step that ends clean. */
const LEAST_DEVIATION = 1e-10;

/** Ancestral sampling of Ho et al. 2020 with the posterior variance, as diffusers' DDPMScheduler "fixed_small". */
export const ddpm = samplerOf(({ from, to, x, x0, noise }) => {
  const { ofX0, ofX, deviation } = posterior(from, to);
  if (from.time === 0)
    return [
      [ofX0, x0],
      [ofX, x],
    ];
  return [
    [ofX0, x0],
    [ofX, x],
    [Math.max(deviation, LEAST_DEVIATION), noise()],
  ];
});
