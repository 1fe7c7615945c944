import { KandinskyError } from "../base/mod.ts";
import type { ParameterShape } from "../graph/mod.ts";
import type { LowRankChange } from "./apply.ts";

/** What a new LoRA changes, and by how much. */
export interface LowRankOptions {
  /**
   * Ends of layer names, from a dot on: `to_q` is every layer of that name. `*` stands for any characters, so that `*` is
   * every layer and `down_blocks.*.to_q` some of them.
   */
  readonly targets: readonly string[];
  readonly rank: number;
  /** The change is alpha / rank times the product of the two weights. */
  readonly alpha: number;
}

/** Queries, keys, values and results of every attention: what LoRAs are commonly put on. */
export const ATTENTION_LAYERS = ["to_q", "to_k", "to_v", "to_out.0"] as const;

/** A layer as LoRA files name it. */
export function moduleOf(target: string): string {
  return target.replace(/\.weight$/, "");
}

/**
 * The changes of a new LoRA, in the order of the model's weights; the small weights are called as peft does, behind the
 * layer's name. Throws `option_invalid` for a pattern that no layer has.
 */
export function newChanges(
  weights: readonly ParameterShape[],
  { targets, rank, alpha }: LowRankOptions,
): LowRankChange[] {
  const patterns = targets.map((target) => ({ target, expression: expressionOf(target) }));
  const modules = weights.map(({ name }) => moduleOf(name));
  const idle = patterns.find(({ expression }) => !modules.some((module) => expression.test(module)));
  if (idle !== undefined) {
    const ends = [...new Set(modules.map((module) => module.replace(/^.*\.(?=[^.]*[a-z])/, "")))];
    throw new KandinskyError("option_invalid", {
      what: "no layer of the U-Net fits this pattern",
      where: "targets",
      seen: JSON.stringify(idle.target),
      wanted: `the end of a layer's name, such as ${ends.join(", ")}; * stands for any characters`,
    });
  }
  const scale = alpha / rank;
  return weights
    .filter((_, i) => patterns.some(({ expression }) => expression.test(modules[i]!)))
    .map(({ name, shape: [out, ...inner] }) => {
      const cell = inner.slice(1).map(() => 1);
      return {
        target: name,
        down: { name: `${moduleOf(name)}.lora_A.weight`, shape: [rank, ...inner] },
        up: { name: `${moduleOf(name)}.lora_B.weight`, shape: [out!, rank, ...cell] },
        scale,
      };
    });
}

function expressionOf(pattern: string): RegExp {
  const parts = pattern.split("*").map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`(^|\\.)${parts.join(".*")}$`);
}
