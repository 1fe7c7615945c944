import { KandinskyError } from "../base/mod.ts";
import type { Rank } from "../data/mod.ts";
import type { RunKind, Stage } from "./config.ts";

/** One process that has everything. */
export const ALONE: Rank = { rank: 0, world: 1 };

/** What one process does of every batch of a stage. */
export interface Share {
  /** The first of its rows in the batch. */
  readonly first: number;
  readonly rows: number;
  /** Parts that it works its rows in. */
  readonly parts: number;
}

/** Kinds whose parts stay whole: captions are held against the others of theirs, drawings are worn part by part. */
const WHOLE_PARTS: readonly RunKind[] = ["text-encoder", "classifier"];

/**
 * Rows of a batch for one of several processes, in order, so that all together have the batch of one process. Losses
 * are means over rows, which may be parted anywhere but in a few kinds. Throws `option_invalid` where the batch cannot be shared.
 */
export function shareOf(kind: RunKind, { name, batch, parts }: Stage, { rank, world }: Rank): Share {
  const [shared, place] = WHOLE_PARTS.includes(kind) ? [parts, "parts"] : [batch, "batch"];
  if (shared % world !== 0) {
    throw new KandinskyError("option_invalid", {
      what: "the batch cannot be shared among the processes",
      where: `stage ${name}, ${place}`,
      seen: `${shared} for ${world} processes`,
      wanted: `a multiple of ${world}`,
    });
  }
  const rows = batch / world;
  let own = Math.ceil(parts / world);
  while (rows % own !== 0) own += 1;
  return { first: rank * rows, rows, parts: own };
}
