import { samplerOf } from "./driver.ts";
import { posterior } from "./posterior.ts";

/** The sampler of the original Kandinsky 3 code: eta 1, no noise in the step that ends at timestep 0. */
export const native = samplerOf(({ from, to, x, x0, noise }) => {
  const { ofX0, ofX, deviation } = posterior(from, to);
  if (to.time === 0)
    return [
      [ofX0, x0],
      [ofX, x],
    ];
  return [
    [ofX0, x0],
    [ofX, x],
    [deviation, noise()],
  ];
});
