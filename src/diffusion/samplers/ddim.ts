import { samplerOf } from "./driver.ts";

/** DDIM with eta 0 (Song et al. 2021, equation 12); the noise is the network's, not derived from a limited x0. */
export const ddim = samplerOf(({ to, x0, eps }) => [
  [to.signal, x0],
  [to.noise, eps],
]);
