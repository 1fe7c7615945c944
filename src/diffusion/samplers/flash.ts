import { addNoise } from "../schedule.ts";
import type { RunSampler } from "./driver.ts";

/**
 * Kandinsky 3.1 Flash: between the steps the latent is the predicted clean one (at first N(0,1)); each step adds noise
 * up to its level and predicts anew. Entering at a later step with an encoded picture, no noise added,
 * makes it a refiner.
 */
export const flash: RunSampler = async function* (denoiser, start, ladder, noise) {
  const total = ladder.length - 1;
  let { x } = start;
  for (let index = start.index; index < total; index++) {
    const level = ladder[index]!;
    const { x0 } = await denoiser(addNoise(x, noise(index), level), level, index);
    x = x0;
    yield { index, total, t: level.time, x, x0 };
  }
};
