import type { Command } from "commander";
import { KandinskyError } from "../../../src/base/mod.ts";
import { convertCheckpoints } from "../../../src/pipelines/mod.ts";
import { type Context, print } from "../context.ts";
import { pathOf } from "../models/names.ts";
import { startProgress } from "../progress.ts";
import { formatBytes, formatCount } from "../units.ts";

/** The bar moves by steps of this part. */
const STEP = 0.01;

/** `kandinsky convert`. */
export async function runConvert(context: Context, command: Command): Promise<number> {
  const { text, language, signal } = context;
  const { convert: t } = text;
  const output = command.args.at(-1)!;
  const progress = startProgress(context);
  let shown = 0;
  const onWritten = (done: number, total: number) => {
    if (signal.aborted) throw new KandinskyError("cancelled", { what: t.stopped });
    const fraction = done / Math.max(total, 1);
    if (fraction < shown + STEP) return;
    shown = fraction;
    const detail = `${formatBytes(done, language)} / ${formatBytes(total, language)}`;
    progress.update({ label: t.writing, detail, fraction });
  };
  try {
    const { overwrite = false } = command.opts<{ overwrite?: boolean }>();
    const { files, dropped, missing } = await convertCheckpoints(
      await Promise.all(command.args.slice(0, -1).map((word) => pathOf(context, word))),
      output,
      onWritten,
      { overwrite },
    );
    progress.clear();
    for (const { path, tensors, bytes } of files) {
      print(context, t.wrote(path, formatCount(tensors, language), formatBytes(bytes, language)));
    }
    if (dropped.length > 0) progress.say(t.dropped(dropped.length));
    for (const { kind, path } of missing) progress.say(t.missing[kind](path));
    if (missing.length === 0 && !output.endsWith(".safetensors")) print(context, t.whole(output));
  } finally {
    progress.clear();
  }
  return 0;
}
