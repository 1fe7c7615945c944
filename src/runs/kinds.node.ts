import { openModel } from "../pipelines/mod.ts";
import { openAutoencoder } from "./autoencoder.node.ts";
import { openClassifier } from "./classifier.node.ts";
import type { RunConfig, RunKind, RunOf } from "./config.ts";
import { openDiffusion } from "./diffusion.node.ts";
import type { Bench, Learner, Workplace } from "./learner.ts";
import { openLora } from "./lora.node.ts";
import { openTextEncoder } from "./text-encoder.node.ts";

/** What opens the learner of a run, once there is an engine. */
type Opening = (bench: Bench) => Promise<Learner>;

/** What each kind of run trains. */
const KINDS: { readonly [K in RunKind]: (config: RunOf<K>) => Promise<Opening> } = {
  diffusion: ofModel(openDiffusion),
  "text-encoder": ofModel(openTextEncoder),
  autoencoder: ofModel(openAutoencoder),
  classifier: async (config) => (bench) => openClassifier(config, bench),
  lora: ofModel(openLora),
};

/** A kind that trains a part of a model, which is opened first: mistakes in it show before anything is written. */
function ofModel<C extends { readonly model: string }>(
  open: (config: C, workplace: Workplace) => Promise<Learner>,
): (config: C) => Promise<Opening> {
  return async (config) => {
    const model = await openModel(config.model);
    return (bench) => open(config, { ...bench, model });
  };
}

/** Checks what a run begins with, and says how its learner is opened. Throws what opening a model throws. */
export function prepareLearner(config: RunConfig): Promise<Opening> {
  return KINDS[config.kind](config as never);
}
