import { stat } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { dirname, join } from "node:path";
import { KandinskyError } from "../../../src/base/mod.ts";
import { CAPTION_POLICIES, type CaptionPolicy, type Dataset, openDataset } from "../../../src/data/mod.ts";
import { type Context, print } from "../context.ts";
import { startProgress } from "../progress.ts";
import { formatCount } from "../units.ts";
import { known } from "./known.ts";

export interface LookOptions {
  readonly captions: string;
  readonly cache?: string;
  readonly json?: boolean;
}

/** Pictures left out that are named on the terminal; JSON names all. */
const NAMED = 20;

/** `kandinsky data look SOURCE...`. */
export async function lookThrough(
  context: Context,
  sources: readonly string[],
  { captions, cache, json }: LookOptions,
): Promise<void> {
  const { text, language, signal } = context;
  const { data: t } = text;
  known("--captions", captions, CAPTION_POLICIES);
  const progress = startProgress(context);
  let dataset: Dataset;
  try {
    dataset = await openDataset({
      sources,
      cache: cache ?? (await besides(sources[0]!)),
      captions: captions as CaptionPolicy,
      workers: availableParallelism(),
      onProgress: (done, total) => {
        if (signal.aborted) throw new KandinskyError("cancelled", { what: text.run.stopped });
        progress.update({ label: t.looking, detail: `${done}/${total}`, fraction: done / total });
      },
    });
  } finally {
    progress.clear();
  }
  const report = reportOf(dataset);
  if (json) {
    print(context, JSON.stringify(report, undefined, 2));
    return;
  }
  const count = (n: number) => formatCount(n, language);
  print(context, t.found(count(report.pictures), report.smallest, report.largest));
  const languages = Object.entries(report.captions).map(([name, n]) => `${name} ${count(n)}`);
  print(context, t.languages(languages.join(", ")));
  if (report.skipped.length > 0) print(context, t.skipped(count(report.skipped.length)));
  for (const { key, reason, detail } of report.skipped.slice(0, NAMED)) {
    print(context, `  ${key}: ${t.reasons[reason]}, ${detail}`);
  }
  if (report.skipped.length > NAMED) print(context, t.more(count(report.skipped.length - NAMED)));
}

/** The folder for what was found: in the data's own. */
async function besides(source: string): Promise<string> {
  const about = await stat(source).catch(() => undefined);
  return join(about?.isDirectory() ? source : dirname(source), ".kandinsky");
}

function reportOf({ samples, skipped }: Dataset) {
  const byArea = [...samples].sort((a, b) => a.width * a.height - b.width * b.height);
  const sizeOf = ({ width, height }: (typeof samples)[number]) => `${width}x${height}`;
  const captions: Record<string, number> = {};
  for (const { texts } of samples) {
    for (const { language } of texts) captions[language] = (captions[language] ?? 0) + 1;
  }
  return {
    pictures: samples.length,
    smallest: sizeOf(byArea[0]!),
    largest: sizeOf(byArea.at(-1)!),
    captions,
    skipped,
  };
}
