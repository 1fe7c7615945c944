import { openAutoencoder } from "./autoencoder.node.ts";
import type { RunConfig, RunKind, RunOf } from "./config.ts";
import { openDiffusion } from "./diffusion.node.ts";
import type { Learner, Workplace } from "./learner.ts";
import { openTextEncoder } from "./text-encoder.node.ts";

/** What each kind of run trains. */
const KINDS: { readonly [K in RunKind]: (config: RunOf<K>, workplace: Workplace) => Promise<Learner> } = {
  diffusion: openDiffusion,
  "text-encoder": openTextEncoder,
  autoencoder: openAutoencoder,
};

/** Opens what a run trains. Throws what the kind throws. */
export function openLearner(config: RunConfig, workplace: Workplace): Promise<Learner> {
  return KINDS[config.kind](config as never, workplace);
}
