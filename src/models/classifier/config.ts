import { z } from "zod";
import { checkFamily, configError, count, counts, readConfig } from "../read-config.ts";

/** What the classifier of subjects depends on. */
export interface ClassifierConfig {
  /** Side of the pictures that it sees, pixels. */
  readonly side: number;
  /** Channels of each level; the first is at a quarter of the side, each further one at half of the one before. */
  readonly widths: readonly number[];
  /** Length of the features. */
  readonly features: number;
  /** What it was taught to tell apart, by number. */
  readonly classes: readonly string[];
  /** What it made of pictures apart when it was written, by name; each a share. */
  readonly measured: Readonly<Record<string, number>>;
}

/** Name that its configuration goes by. */
const FAMILY = "SubjectClassifier";

/** Channels of a norm's group divide every width. */
export const GROUPS = 8;

const SCHEMA = z.object({
  side: count,
  widths: counts.refine((widths) => widths.every((width) => width % GROUPS === 0), {
    error: `multiples of ${GROUPS}`,
  }),
  features: count,
  classes: z.array(z.string().min(1), { error: "a list of names" }).min(2, { error: "at least two classes" }),
  measured: z.record(z.string(), z.number()).default({}),
});

/** Reads the config.json of a classifier. Throws `model_family`, and `model_config` for a value that cannot work. */
export function parseClassifierConfig(json: unknown, where: string): ClassifierConfig {
  checkFamily(json, "model_type", [FAMILY], where);
  const config = readConfig(SCHEMA, json, where);
  const unit = 4 * 2 ** (config.widths.length - 1);
  if (config.side % unit !== 0) throw configError(where, "side", config.side, `a multiple of ${unit}`);
  return config;
}

/** The JSON that `parseClassifierConfig` reads. */
export function classifierJson(config: ClassifierConfig): Readonly<Record<string, unknown>> {
  return { model_type: FAMILY, ...config };
}
