import { z } from "zod";
import { KandinskyError } from "../base/mod.ts";

/** A whole number from 1, as most keys of a configuration are. */
export const count = z.int({ error: "a whole number" }).positive({ error: "a whole number from 1" });

/** A list of at least one of these. */
export const counts = z
  .array(count, { error: "a list of whole numbers" })
  .min(1, { error: "at least one level" });

/** A number for all levels, or a list that says the same for each. */
export const sameForAll = z
  .union([count, counts], { error: "a whole number, or a list of them" })
  .refine((value) => typeof value === "number" || value.every((n) => n === value[0]), {
    error: "the same number for all levels",
  })
  .transform((value) => (typeof value === "number" ? value : value[0]!));

/**
 * A configuration as its schema makes it; keys that the schema does not name are dropped.
 * `where` is the file, for messages. Throws `model_config` with the first key that does not fit.
 */
export function readConfig<T>(schema: z.ZodType<T>, json: unknown, where: string): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw configError(where, issue.path.map(String).join("."), valueAt(json, issue.path), issue.message);
}

/** The error for one key of a configuration. */
export function configError(where: string, key: string, seen: unknown, wanted: string): KandinskyError {
  return new KandinskyError("model_config", {
    what: "cannot use the model's configuration",
    where: key === "" ? where : `${where}, key "${key}"`,
    seen: seen === undefined ? "nothing" : JSON.stringify(seen),
    wanted,
  });
}

/**
 * Refuses the configuration of another model: `key` must hold one of `wanted`, or be absent.
 * Throws `model_family`.
 */
export function checkFamily(json: unknown, key: string, wanted: readonly string[], where: string): void {
  const seen = valueAt(json, [key]);
  if (seen === undefined || wanted.includes(String(seen))) return;
  throw new KandinskyError("model_family", {
    what: "this part belongs to a model of another family",
    where: `${where}, key "${key}"`,
    seen: JSON.stringify(seen),
    wanted: wanted.join(" or "),
  });
}

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === "object" && value !== null ? value[key as keyof typeof value] : undefined,
    json,
  );
}
