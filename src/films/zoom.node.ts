import { type Picture, resizePicture } from "../image/mod.ts";
import { surround, zoomPlaces, zoomView } from "../motion/mod.ts";
import type { Kandinsky3, PictureRequest } from "../pipelines/mod.ts";
import type { AnimateOptions } from "./animate.node.ts";
import { type Drawn, drawOne, samplingOf } from "./draw.node.ts";
import type { FilmEvent } from "./events.ts";
import { type FrameStore, frameStore } from "./folder.node.ts";
import { type FilmJob, openImage } from "./job.node.ts";
import { filmMetadata, stopIfAsked } from "./metadata.ts";
import { framesOf, isPreviewDue, writePreview, writeWhole } from "./write.node.ts";

/**
 * Draws a zoom film into its folder: key frames in `drawn`, each the one before made smaller with the rest drawn
 * around it, then the frames between them and the film. What is there already stays.
 */
export async function* zoom(
  model: Kandinsky3,
  job: FilmJob<"zoom">,
  options: AnimateOptions,
): AsyncGenerator<FilmEvent, void, void> {
  const { folder, settings, film } = job;
  const places = zoomPlaces(settings);
  const store = await frameStore(folder);
  let shown = 0;
  while (shown < places.length && (await store.has("frames", shown))) shown++;
  yield { type: "start", frames: places.length, drawn: settings.keys, done: shown };

  const near = nearKeys(store);
  for (let key = 0; key < settings.keys; key++) {
    if (!(await store.has("drawn", key))) {
      const { picture, metadata } = yield* drawKey(model, job, key, store, options);
      const file = await store.save("drawn", key, picture, metadata);
      yield { type: "drawn", frame: key, file, picture };
    }
    // Flying out, frames can be seen as soon as the key frames around them are there.
    for (; shown < places.length && reach(places, shown) <= key; shown++) {
      stopIfAsked(options.signal);
      const place = places[shown]!;
      for (const wanted of keysOf(place)) await near.load(wanted);
      const picture = zoomView(place, settings.ratio, near.at);
      const metadata = filmMetadata(job, picture, subjectOf(job, Math.round(place)), shown);
      const file = await store.save("frames", shown, picture, metadata);
      yield { type: "frame", frame: shown, file };
      if (isPreviewDue(shown + 1) && shown + 1 < places.length) {
        yield* writePreview(folder, store, shown + 1, film.frameRate);
      }
    }
  }
  yield* writeWhole(job, framesOf(store, places.length), places.length);
}

/** The last key frame that a frame needs. */
function reach(places: readonly number[], frame: number): number {
  return Math.ceil(places[frame]!);
}

/** The key frames that a view may be made of. */
function keysOf(place: number): number[] {
  const base = Math.ceil(place);
  return [base, base - 1, base - 2].filter((key) => key >= 0);
}

/** The key frames around a place; those further away are forgotten. */
function nearKeys(store: FrameStore) {
  const pictures = new Map<number, Picture>();
  return {
    at: (key: number) => pictures.get(key)!,
    load: async (key: number) => {
      if (pictures.has(key)) return;
      pictures.set(key, await store.load("drawn", key));
      for (const other of pictures.keys()) if (Math.abs(other - key) > 2) pictures.delete(other);
    },
  };
}

/** How a request calls the key frame in the middle, and what is to be drawn around it. */
const [MIDDLE, AROUND] = ["the key frame before", "what is around it"];

async function* drawKey(
  model: Kandinsky3,
  job: FilmJob<"zoom">,
  key: number,
  store: FrameStore,
  { signal, open }: AnimateOptions,
): AsyncGenerator<FilmEvent, Drawn, void> {
  const { settings } = job;
  const { image, width, height, ratio } = settings;
  const subject = subjectOf(job, key);
  if (key === 0 && image !== undefined) {
    const picture = await resizePicture((await openImage(image, open)).picture, width, height);
    return { picture, metadata: filmMetadata(job, picture, subject, key) };
  }
  const common = { ...samplingOf(settings), prompt: subject.prompt, seed: settings.seed + key };
  if (key === 0) {
    return yield* drawOne(model, job, { operation: "generate", ...common, width, height }, {}, key, signal);
  }
  const { picture, hole } = surround(await store.load("drawn", key - 1), ratio);
  const request: PictureRequest = {
    operation: "inpaint",
    ...common,
    image: MIDDLE,
    mask: { from: "file", file: AROUND },
    region: "whole",
  };
  const white = {
    width,
    height,
    data: Uint8Array.from({ length: 3 * hole.length }, (_, i) => hole[Math.floor(i / 3)]!),
  };
  return yield* drawOne(model, job, request, { [MIDDLE]: picture, [AROUND]: white }, key, signal);
}

function subjectOf({ settings }: FilmJob<"zoom">, key: number) {
  const { prompts, negative } = settings;
  const list = typeof prompts === "string" ? [prompts] : prompts;
  return { prompt: list[Math.min(key, list.length - 1)]!, negative };
}
