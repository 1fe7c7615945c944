import { foldIn, type Key } from "../random/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { loadTokenizer } from "../tokenizer/mod.ts";
import { type CaptionSource, openCaptions, textFeeds } from "./text-batch.ts";

/** What a thread draws captions with: plain data. */
export interface TextRequest {
  readonly source: CaptionSource;
  /** Folder of the tokenizer. */
  readonly tokenizer: string;
  /** Tokens that captions are cut or padded to. */
  readonly length: number;
}

/** Parts of a batch to draw: pairs of captions, in parts of equal size. */
export interface TextJob {
  readonly key: Key;
  readonly pairs: number;
  readonly parts: number;
  /** The first of the parts to draw, and how many. */
  readonly first: number;
  readonly count: number;
}

/** One part of a batch: the inputs of the graph, and the right classes of its captions. */
export interface TextPart {
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly classes: readonly (readonly number[])[];
}

/** The work of a thread of `openWorkerPool`. Equal jobs give equal batches. */
export async function makeJob({
  source,
  tokenizer: folder,
  length,
}: TextRequest): Promise<(job: TextJob) => Promise<readonly TextPart[]>> {
  const tokenizer = await loadTokenizer(folder);
  const captions = openCaptions(source);
  return async ({ key, pairs, parts, first, count }) => {
    const size = pairs / parts;
    return Array.from({ length: count }, (_, i) => {
      const part = first + i;
      const own = Array.from({ length: size }, (__, pair) => captions.pair(foldIn(key, part * size + pair)));
      const rows = [...own.map(([one]) => one), ...own.map(([, other]) => other)];
      return {
        feeds: textFeeds(rows, tokenizer, length),
        classes: rows.map(({ classes }) => classes),
      };
    });
  };
}
