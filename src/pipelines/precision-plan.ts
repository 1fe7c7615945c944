import { KandinskyError, product } from "../base/mod.ts";
import { chooseWithin } from "../quant/mod.ts";
import type { LayerError } from "./calibrate.node.ts";
import type { OpenedModel } from "./model.node.ts";
import {
  type PrecisionPlan,
  partOf,
  plannedBytes,
  quantizable,
  storedBytesAs,
  uniformPlan,
  type WeightPartName,
  type WeightPrecision,
} from "./quantize.node.ts";

/** Errors of layers by part, as `calibrate` measures them. */
export type MeasuredErrors = ReadonlyMap<WeightPartName, readonly LayerError[]>;

/** From the coarsest on. */
const PRECISIONS: readonly WeightPrecision[] = ["int4", "int8", "fp16"];

/**
 * How much an error counts. What the text encoder gets wrong is wrong at every step, and guidance multiplies what text
 * changes by 1 + 3 at the default weight: 16 times the power.
 */
const WEIGHTS: Readonly<Record<WeightPartName, number>> = { text_encoder: 16, unet: 1, movq: 1 };

/**
 * A precision for every weight of the parts: `coarsest`, and finer where rounding does most harm to a layer's result for
 * its bytes, as long as all parts together take at most `size`: bytes, or a share up to 1 of what half floats take.
 * Weights without a measured error are as in `uniformPlan`. Throws `option_invalid` where even that is larger.
 */
export function planWithin(
  model: OpenedModel,
  parts: readonly WeightPartName[],
  coarsest: WeightPrecision,
  measured: MeasuredErrors,
  size: number,
): Map<WeightPartName, PrecisionPlan> {
  const uniform = new Map(parts.map((name) => [name, uniformPlan(model, name, coarsest)]));
  const smallest = sum(parts.map((name) => plannedBytes(model, name, uniform.get(name)!)));
  const half = sum(parts.map((name) => plannedBytes(model, name, new Map())));
  const budget = size <= 1 ? size * half : size;
  if (smallest > budget) {
    throw new KandinskyError("option_invalid", {
      what: "this size is too small",
      where: "--size",
      seen: `${size}`,
      wanted: `at least ${size <= 1 ? Math.ceil((1000 * smallest) / half) / 1000 : smallest}`,
    });
  }
  const items = parts.flatMap((name) => itemsOf(model, name, coarsest, measured.get(name) ?? []));
  const left = budget - smallest + sum(items.map(({ choices }) => choices[0]!.bytes));
  const chosen = chooseWithin(items, left);
  return new Map(
    parts.map((name) => {
      const of = (weight: string) => chosen.get(itemName(name, weight));
      return [name, new Map([...uniform.get(name)!].map(([weight, plain]) => [weight, of(weight) ?? plain]))];
    }),
  );
}

function itemsOf(
  model: OpenedModel,
  name: WeightPartName,
  coarsest: WeightPrecision,
  measured: readonly LayerError[],
) {
  const errors = new Map(measured.map((layer) => [layer.name, layer.errors]));
  const choices = PRECISIONS.slice(PRECISIONS.indexOf(coarsest));
  return quantizable(model, name).flatMap(({ name: weight, shape }) => {
    const error = errors.get(weight);
    if (error === undefined) return [];
    const errorOf = (choice: WeightPrecision) => (choice === "fp16" ? 0 : WEIGHTS[name] * error[choice]);
    return [
      {
        name: itemName(name, weight),
        choices: choices.map((choice) => ({
          choice,
          bytes: storedBytesAs(shape, choice),
          error: errorOf(choice),
        })),
      },
    ];
  });
}

function itemName(part: WeightPartName, weight: string): string {
  return `${part}/${weight}`;
}

function sum(values: readonly number[]): number {
  return values.reduce((all, value) => all + value, 0);
}

/** One layer of a report, the worst first. */
export interface LayerReport {
  readonly part: WeightPartName;
  readonly name: string;
  readonly parameters: number;
  readonly chosen: WeightPrecision;
  /** Power of the error over power of the layer's result, in dB, of each rounding. */
  readonly decibels: Readonly<Record<"int8" | "int4", number>>;
}

/** What was measured of every layer and what was chosen for it. */
export function reportOf(
  model: OpenedModel,
  measured: MeasuredErrors,
  plans: ReadonlyMap<WeightPartName, PrecisionPlan>,
): LayerReport[] {
  const layers = [...plans].flatMap(([part, plan]) =>
    (measured.get(part) ?? []).map(({ name, errors }) => ({
      part,
      name,
      parameters: product(partOf(model, part).part.entries.get(name)!.shape),
      chosen: plan.get(name)!,
      decibels: { int8: decibels(errors.int8), int4: decibels(errors.int4) },
    })),
  );
  return layers.sort((a, b) => b.decibels.int4 - a.decibels.int4);
}

/** To a tenth; a layer whose error cannot be told from 0 has the least that is. */
function decibels(error: number): number {
  return Math.round(100 * Math.log10(Math.max(error, 1e-20))) / 10;
}
