import { readFile, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { KandinskyError } from "../../../src/base/mod.ts";
import { contactSheet, decodePicture, type Picture } from "../../../src/image/mod.ts";
import type {
  GenerateEvent,
  Job,
  Kandinsky3,
  LoraChoice,
  OpenFile,
  RunState,
} from "../../../src/pipelines/mod.ts";
import type { Device } from "../../../src/runtime/mod.ts";
import { type Context, print } from "../context.ts";
import { planTable } from "../plan-table.ts";
import { startProgress } from "../progress.ts";
import { formatBytes, formatDuration } from "../units.ts";
import { inlineOf } from "./inline.ts";
import { jsonLine } from "./json-events.ts";
import { checkOutputs, type OutputPlan, savePicture, saveSheet } from "./output.ts";
import { type ResumeData, writeResume } from "./resume-file.ts";
import { startTelling } from "./tell.ts";

/** How a job is drawn, apart from what it is. */
export interface DrawPlan {
  readonly output: OutputPlan;
  readonly sheet: boolean;
  readonly json: boolean;
  readonly preview: boolean;
  readonly loras: readonly LoraChoice[];
  readonly device: Device | undefined;
  readonly threads: number | undefined;
  /** Bytes that were allowed. */
  readonly memory: number | undefined;
  /** Gives the files that the job names, where they are not where it says. */
  readonly open?: OpenFile;
  /** The stopped run that this one goes on with, and its file. */
  readonly resumed?: { readonly data: ResumeData; readonly file: string };
}

type Saved = { readonly index: number; readonly path: string };

/** Draws a job, saves its pictures as they come and tells how it goes. Throws `cancelled` after Ctrl-C. */
export async function draw(context: Context, model: Kandinsky3, job: Job, plan: DrawPlan): Promise<void> {
  const { signal } = context;
  const resume = plan.resumed?.data.state;
  const saved: Saved[] = [...(plan.resumed?.data.saved ?? [])];
  await checkOutputs(plan.output, job, new Set(saved.map(({ index }) => index)));

  const announced = await announce(context, model, job, plan);
  const progress = startProgress(context);
  const tell = startTelling(context, progress, job, inlineOf(context, plan.preview && !plan.json), announced);
  const emit = (event: object) => {
    if (plan.json) print(context, JSON.stringify(event));
  };
  const sheet: Picture[] = [];
  let state: RunState | undefined = resume;

  const keep = async (event: Extract<GenerateEvent, { type: "picture" }>) => {
    if (plan.sheet) sheet[event.job.index] = event.picture;
    if (saved.some(({ index }) => index === event.job.index)) return;
    const path = await savePicture(plan.output, event.job, event.picture, event.metadata);
    saved.push({ index: event.job.index, path });
    progress.clear();
    if (plan.json) emit({ type: "picture", path, ...event.job, settings: event.metadata.json });
    else print(context, path);
    await tell.picture(event.picture);
  };

  const events = model.generate(job, { signal, ...given({ resume, open: plan.open }) });
  try {
    for await (const event of untilAborted(events, signal)) {
      if (event.type === "picture") await keep(event);
      else {
        emit(jsonLine(event));
        await tell.event(event);
      }
      if ("state" in event) state = following(event.state, state);
    }
    if (plan.sheet) {
      for (const { index, path } of saved) sheet[index] ??= await decodePicture(await readFile(path), path);
      const path = await saveSheet(plan.output, job, contactSheet(sheet));
      if (plan.json) emit({ type: "sheet", path });
      else print(context, path);
    }
    if (plan.resumed !== undefined) await rm(plan.resumed.file, { force: true });
  } catch (error) {
    const engineDied = error instanceof KandinskyError && error.code === "engine_died";
    if (!signal.aborted && !engineDied) throw error;
    progress.clear();
    const { what, hint } = await leave(context, model, plan, saved, state, emit);
    if (signal.aborted) throw new KandinskyError("cancelled", { what, ...given({ hint }) });
    if (hint !== undefined) context.stderr.write(`${hint}\n`);
    throw error;
  } finally {
    progress.clear();
  }
}

/** Work of more than this is announced. */
const LONG_SECONDS = 120;

/**
 * Says beforehand how long work will run, and what it will take; whether there was anything to say. Throws
 * `memory_exceeded` where it cannot be done at all.
 */
async function announce(
  context: Context,
  model: Kandinsky3,
  job: Job,
  { memory }: DrawPlan,
): Promise<boolean> {
  const { text, language, stderr } = context;
  const { seconds, plan } = await model.estimate(job);
  if (plan === undefined || (seconds < LONG_SECONDS && memory === undefined)) return false;
  const bytes = (count: number) => formatBytes(count, language);
  stderr.write(`${text.plan.heading(bytes(plan.budgetBytes))}\n`);
  for (const line of planTable(plan, context)) stderr.write(`  ${line}\n`);
  stderr.write(`${text.run.estimate(formatDuration(seconds, language), bytes(plan.expectedBytes))}\n`);
  return true;
}

/** The state after a picture keeps the latents of those drawn together with it, until all of them are saved. */
function following(state: RunState, before: RunState | undefined): RunState {
  const current = state.current ?? before?.current;
  const isUnderWay = current?.pictures.some((index) => !state.done.includes(index)) ?? false;
  const { fingerprint, job, done } = state;
  return { fingerprint, job, done, ...(isUnderWay && current !== undefined ? { current } : {}) };
}

/** What is under way gets this long to end by itself after the signal, so that it leaves nothing behind. */
const SETTLE_MILLISECONDS = 500;

/** The events of a run, ended soon after the signal whatever the run is busy with. */
async function* untilAborted<T>(source: AsyncGenerator<T>, signal: AbortSignal): AsyncGenerator<T> {
  const stopped = () => new KandinskyError("cancelled", { what: "stopped" });
  const overdue = new Promise<never>((_, reject) => {
    const begin = () => setTimeout(() => reject(stopped()), SETTLE_MILLISECONDS);
    if (signal.aborted) begin();
    else signal.addEventListener("abort", begin, { once: true });
  });
  // Nobody may be waiting at the moment it is rejected.
  overdue.catch(() => {});
  for (;;) {
    const pending = source.next();
    pending.catch(() => {});
    const next = await Promise.race([pending, overdue]);
    if (signal.aborted) throw stopped();
    if (next.done === true) return;
    yield next.value;
  }
}

/** Saves where an unfinished run stands, and words how to go on. */
async function leave(
  { text }: Context,
  model: Kandinsky3,
  plan: DrawPlan,
  saved: readonly Saved[],
  state: RunState | undefined,
  emit: (event: object) => void,
): Promise<{ readonly what: string; readonly hint?: string }> {
  if (state === undefined || (state.done.length === 0 && state.current === undefined)) {
    emit({ type: "cancelled" });
    return { what: text.run.stoppedEmpty };
  }
  const { folder, name } = model.info;
  const { output, sheet, loras, device, threads } = plan;
  const places = model.info.loras.map(({ weight, hash }, i) => ({
    file: resolve(loras[i]!.file),
    weight,
    hash,
  }));
  const settings = { model: { folder, name }, loras: places, output, sheet, ...given({ device, threads }) };
  try {
    const file = await writeResume(
      { ...settings, saved: [...saved], state: fromAnywhere(state) },
      plan.resumed?.file,
    );
    emit({ type: "cancelled", resume: file });
    const command = `kandinsky generate --resume ${shellWord(file)}`;
    return { what: text.run.stopped, hint: text.run.resumeWith(command) };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return { what: text.run.stopped, hint: `${text.run.resumeUnsaved}: ${why}` };
  }
}

/** The state with whole paths of the files it names. */
function fromAnywhere(state: RunState): RunState {
  const { job } = state;
  if (!("image" in job)) return state;
  const image = { ...job.image, file: resolve(job.image.file) };
  if (job.operation !== "inpaint" || job.mask.from !== "file") return { ...state, job: { ...job, image } };
  return { ...state, job: { ...job, image, mask: { ...job.mask, file: resolve(job.mask.file) } } };
}

/** The fields that have a value. */
export function given<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const present = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(present) as { [K in keyof T]?: NonNullable<T[K]> };
}

function shellWord(word: string): string {
  return /^[\w./\\:-]+$/.test(word) ? word : `"${word}"`;
}
