import type { Command } from "commander";
import { KandinskyError } from "../../../src/base/mod.ts";
import {
  beginFilm,
  begunFilm,
  type FilmEvent,
  type FilmJob,
  type FilmOperation,
  type FilmRequest,
  goOnWith,
  runFilm,
} from "../../../src/films/mod.ts";
import { Kandinsky3, type ModelInfo, openLocalFile } from "../../../src/pipelines/mod.ts";
import { type Context, print } from "../context.ts";
import { given } from "../generate/draw.ts";
import { jsonLine } from "../generate/json-events.ts";
import { deviceOf } from "../generate/options.ts";
import { noticeText } from "../generate/tell.ts";
import { startProgress } from "../progress.ts";
import { checkResumed } from "../resumed-options.ts";
import type { FilmOptions } from "./options.ts";

/** Turns the options into a request for the model that is loaded. */
export type BuildFilm = (
  info: ModelInfo,
) => Promise<{ readonly request: FilmRequest; readonly frameRate: number }>;

/** Where films go that nobody named a folder for. */
export const FOLDER = "kandinsky-film";
const FILM = "film.webm";

/** Makes a film, or goes on with one. */
export async function makeFilm(
  context: Context,
  command: Command,
  operation: FilmOperation,
  options: FilmOptions,
  build: BuildFilm,
): Promise<number> {
  const { cache, threads, memory, resume, json = false } = options;
  const device = deviceOf(options.device);
  const begun = resume === undefined ? undefined : await resumed(command, operation, resume);
  const model = options.model ?? begun?.model.folder;
  const loras = begun?.loras ?? options.lora;
  await using kandinsky = await Kandinsky3.load({
    cache,
    loras,
    ...given({ model, device, threads, memory }),
  });
  const { info } = kandinsky;
  let job = begun;
  if (job !== undefined) await goOnWith(job, info);
  else {
    const { request, frameRate } = await build(info);
    const { film: file = FILM, output: folder = FOLDER, quality, loop, audio } = options;
    const film = { file, frameRate, ...given({ quality, loop, audio }) };
    job = await beginFilm(request, { folder, film, info, loras, open: openLocalFile }, false);
  }
  await playOut(context, kandinsky, job, { json, threads });
  return 0;
}

/** Makes a film that was begun, or what of it is not there yet, and tells of it. */
export async function playOut(
  context: Context,
  model: Kandinsky3,
  job: FilmJob,
  { json, threads }: { readonly json: boolean; readonly threads: number | undefined },
): Promise<void> {
  const options = { signal: context.signal, open: openLocalFile, ...given({ threads }) };
  await tell(context, job, runFilm(model, job, options), json);
}

async function resumed(command: Command, operation: FilmOperation, folder: string): Promise<FilmJob> {
  checkResumed(command);
  const job = await begunFilm(folder);
  if (job.settings.operation === operation) return job;
  throw new KandinskyError("option_invalid", {
    what: "the film in this folder is of another command",
    where: folder,
    seen: job.settings.operation,
    wanted: operation,
  });
}

/** Shows how a film goes on; throws `cancelled` with the way to go on after Ctrl-C. */
async function tell(
  context: Context,
  { folder, settings }: FilmJob,
  events: AsyncIterable<FilmEvent>,
  json: boolean,
): Promise<void> {
  const { text, signal } = context;
  const { films: t } = text;
  const progress = startProgress(context);
  const said = new Set<string>();
  const since = performance.now();
  let [total, before, done] = [0, 0, 0];
  const update = (label: string, detail?: string) => {
    const seconds = (performance.now() - since) / 1000;
    const left = done === before ? undefined : ((total - done) * seconds) / (done - before);
    const where = { label, fraction: total === 0 ? 0 : done / total };
    progress.update({ ...where, ...given({ detail, secondsLeft: left }) });
  };
  try {
    for await (const event of events) {
      if (json) print(context, JSON.stringify(lineOf(event)));
      if (event.type === "start") {
        [total, before, done] = [event.frames, event.done, event.done];
        if (event.done > 0) progress.say(t.resumed(event.done, event.frames));
      } else if (event.type === "drawing") {
        const { event: inner } = event;
        if (inner.type === "notice") {
          const words = noticeText(context, inner);
          if (!said.has(words)) progress.say(`${text.run.warning}: ${words}`);
          said.add(words);
        } else if (inner.type === "step") {
          update(t.drawing(event.frame + 1), text.run.step(inner.index + 1, inner.total));
        }
      } else if (event.type === "frame") {
        done = Math.max(done, event.frame + 1);
        update(t.frame(done, total));
      } else if (event.type === "preview") {
        if (!said.has(event.file)) progress.say(t.preview(event.file));
        said.add(event.file);
      } else if (event.type === "film") {
        progress.clear();
        if (!json) print(context, event.file);
      }
    }
  } catch (error) {
    progress.clear();
    if (!signal.aborted) throw error;
    const command = `kandinsky ${settings.operation} --resume ${/\s/.test(folder) ? `"${folder}"` : folder}`;
    throw new KandinskyError("cancelled", { what: text.run.stopped, hint: text.run.resumeWith(command) });
  } finally {
    progress.clear();
  }
}

/** An event without pixels. */
function lineOf(event: FilmEvent): object {
  if (event.type === "drawing") return { ...event, event: jsonLine(event.event) };
  if (event.type !== "drawn") return event;
  const { picture: _, ...rest } = event;
  return rest;
}
