import { type DepthNetwork, openDepth } from "../depth/mod.ts";
import { type Picture, resizePicture } from "../image/mod.ts";
import {
  type AnimationPlan,
  type DeepPicture,
  distancesOf,
  type FrameTask,
  filmFrame,
  frameTask,
  holdColors,
  parsePrompts,
  planAnimation,
  promptAt,
  resolveMotion,
} from "../motion/mod.ts";
import type { Kandinsky3, OpenFile, PictureRequest } from "../pipelines/mod.ts";
import { type Drawn, drawOne, samplingOf } from "./draw.node.ts";
import type { FilmEvent } from "./events.ts";
import { frameStore } from "./folder.node.ts";
import { type FilmJob, openImage, readKnown } from "./job.node.ts";
import { filmMetadata, stopIfAsked } from "./metadata.ts";
import { framesOf, isPreviewDue, writePreview, writeWhole } from "./write.node.ts";

/** How an animation is made, apart from what it is. */
export interface AnimateOptions {
  readonly signal?: AbortSignal;
  /** Gives the bytes of the picture to begin with. */
  readonly open: OpenFile;
  /** Of the depth network; the model has its own. */
  readonly threads?: number;
}

/**
 * Draws an animation into its folder: what the model draws in `drawn`, the frames in `frames`, a preview now and then,
 * the film at the end. Frames that are there already stay. Every drawn frame comes from the one before and the film's
 * first one, as their files hold them, so a film that was stopped ends up as one that was not.
 */
export async function* animate(
  model: Kandinsky3,
  job: FilmJob<"animate">,
  options: AnimateOptions,
): AsyncGenerator<FilmEvent, void, void> {
  const depth = await networkOf(job, options);
  try {
    yield* animateOver(model, job, depth, options);
  } finally {
    await depth?.[Symbol.asyncDispose]();
  }
}

async function networkOf(
  { settings }: FilmJob<"animate">,
  { open, threads, signal }: AnimateOptions,
): Promise<DepthNetwork | undefined> {
  if (settings.depth === undefined) return undefined;
  const { bytes, file } = await readKnown(settings.depth, open);
  const options = {
    ...(threads === undefined ? {} : { threads }),
    ...(signal === undefined ? {} : { signal }),
  };
  return openDepth(bytes, file, options);
}

async function* animateOver(
  model: Kandinsky3,
  job: FilmJob<"animate">,
  network: DepthNetwork | undefined,
  { signal, open }: AnimateOptions,
): AsyncGenerator<FilmEvent, void, void> {
  const { folder, settings } = job;
  const prompts = parsePrompts(settings.prompts, settings.negative);
  const plan = planAnimation(resolveMotion(settings.motion), prompts, settings.seed);
  const { frames, cadence, frameRate } = plan.settings;
  const store = await frameStore(folder);
  let done = 0;
  while (done < frames && (await store.has("frames", done))) done++;
  yield { type: "start", frames, drawn: plan.drawn.length, done };

  const pictures = new Map<number, DeepPicture>();
  const keep = async (frame: number, picture: Picture) => {
    const deep = network && { depth: distancesOf(await network.inverseDepth(picture)) };
    pictures.set(frame, { ...picture, ...deep });
  };
  for (const [index, frame] of plan.drawn.entries()) {
    const last = Math.min(frame + cadence, frames) - 1;
    // A later one begins from this one's picture, or this one's frames are not all there.
    const isNeeded = last >= done || (plan.drawn[index + 2] ?? frames) > done || index === 0;
    if (!isNeeded) continue;
    if (await store.has("drawn", frame)) await keep(frame, await store.load("drawn", frame));
    else {
      const drawn = yield* drawFrame(model, job, plan, index, pictures, { signal, open });
      const file = await store.save("drawn", frame, drawn.picture, drawn.metadata);
      await keep(frame, drawn.picture);
      yield { type: "drawn", frame, file, picture: drawn.picture };
    }
    for (let shown = Math.max(frame, done); shown <= last; shown++) {
      stopIfAsked(signal);
      const picture = filmFrame(plan, shown, (at) => pictures.get(at)!);
      const file = await store.save(
        "frames",
        shown,
        picture,
        filmMetadata(job, picture, promptAt(prompts, shown, false), shown),
      );
      yield { type: "frame", frame: shown, file };
      if (isPreviewDue(shown + 1) && shown + 1 < frames) {
        yield* writePreview(folder, store, shown + 1, frameRate);
      }
    }
    forget(pictures, plan, index);
  }
  yield* writeWhole(job, framesOf(store, frames), frames);
}

/** Keeps the first drawn frame and the last two: memory does not grow with the film. */
function forget(pictures: Map<number, DeepPicture>, { drawn }: AnimationPlan, index: number): void {
  const old = drawn[index - 1];
  if (index > 1 && old !== undefined) pictures.delete(old);
}

async function* drawFrame(
  model: Kandinsky3,
  job: FilmJob<"animate">,
  plan: AnimationPlan,
  index: number,
  pictures: ReadonlyMap<number, DeepPicture>,
  { signal, open }: { readonly signal: AbortSignal | undefined; readonly open: OpenFile },
): AsyncGenerator<FilmEvent, Drawn, void> {
  const [first, before] = [plan.drawn[0]!, plan.drawn[index - 1]];
  const task = frameTask(
    plan,
    index,
    before === undefined ? undefined : pictures.get(before),
    pictures.get(first),
  );
  const { width, height } = job.settings;
  const start = task.picture ?? (await initial(job, open));
  const request = requestOf(job, task, start !== undefined);
  if (start === undefined) return yield* drawOne(model, job, request, {}, task.frame, signal);
  const fitted =
    start.width === width && start.height === height ? start : await resizePicture(start, width, height);
  if (task.strength === 0) return { picture: fitted, metadata: filmMetadata(job, fitted, task, task.frame) };
  const drawn = yield* drawOne(model, job, request, { [MOVED]: fitted }, task.frame, signal);
  const reference = index === 0 ? undefined : pictures.get(first);
  if (reference === undefined) return drawn;
  return { ...drawn, picture: holdColors(plan, drawn.picture, reference) };
}

/** How the request for a frame calls the picture that it begins from. */
const MOVED = "the frame before, moved on";

async function initial(job: FilmJob<"animate">, open: OpenFile): Promise<Picture | undefined> {
  const { image } = job.settings;
  return image === undefined ? undefined : (await openImage(image, open)).picture;
}

function requestOf({ settings }: FilmJob<"animate">, task: FrameTask, hasPicture: boolean): PictureRequest {
  const { width, height, strengthAs } = settings;
  const { prompt, negative, next, seed } = task;
  const subject = {
    ...samplingOf(settings),
    ...{ width, height, prompt, seed },
    ...(negative === undefined ? {} : { negative }),
    ...(next === undefined ? {} : { mix: next }),
  };
  if (!hasPicture) return { operation: "generate", ...subject };
  return { operation: "edit", ...subject, image: MOVED, strength: task.strength, strengthAs };
}
