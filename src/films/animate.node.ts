import { type Picture, resizePicture } from "../image/mod.ts";
import {
  type AnimationPlan,
  type FrameTask,
  filmFrame,
  frameTask,
  parsePrompts,
  planAnimation,
  promptAt,
  resolveMotion,
} from "../motion/mod.ts";
import type { Kandinsky3, OpenFile, PictureRequest } from "../pipelines/mod.ts";
import { type Drawn, drawOne, samplingOf } from "./draw.node.ts";
import type { FilmEvent } from "./events.ts";
import { frameStore } from "./folder.node.ts";
import { type FilmJob, openImage } from "./job.node.ts";
import { filmMetadata, stopIfAsked } from "./metadata.ts";
import { framesOf, isPreviewDue, writePreview, writeWhole } from "./write.node.ts";

/** How an animation is made, apart from what it is. */
export interface AnimateOptions {
  readonly signal?: AbortSignal;
  /** Gives the bytes of the picture to begin with. */
  readonly open: OpenFile;
}

/**
 * Draws an animation into its folder: what the model draws in `drawn`, the frames in `frames`, a preview now and then,
 * the film at the end. Frames that are there already stay. Every drawn frame comes from the one before and the film's
 * first one, as their files hold them, so a film that was stopped ends up as one that was not.
 */
export async function* animate(
  model: Kandinsky3,
  job: FilmJob<"animate">,
  { signal, open }: AnimateOptions,
): AsyncGenerator<FilmEvent, void, void> {
  const { folder, settings, film } = job;
  const prompts = parsePrompts(settings.prompts, settings.negative);
  const plan = planAnimation(resolveMotion(settings.motion), prompts, settings.seed);
  const { frames, cadence, frameRate } = plan.settings;
  const store = await frameStore(folder);
  let done = 0;
  while (done < frames && (await store.has("frames", done))) done++;
  yield { type: "start", frames, drawn: plan.drawn.length, done };

  const pictures = new Map<number, Picture>();
  for (const [index, frame] of plan.drawn.entries()) {
    const last = Math.min(frame + cadence, frames) - 1;
    // A later one begins from this one's picture, or this one's frames are not all there.
    const isNeeded = last >= done || (plan.drawn[index + 2] ?? frames) > done || index === 0;
    if (!isNeeded) continue;
    if (await store.has("drawn", frame)) pictures.set(frame, await store.load("drawn", frame));
    else {
      const drawn = yield* drawFrame(model, job, plan, index, pictures, { signal, open });
      const file = await store.save("drawn", frame, drawn.picture, drawn.metadata);
      pictures.set(frame, drawn.picture);
      yield { type: "drawn", frame, file, picture: drawn.picture };
    }
    for (let shown = Math.max(frame, done); shown <= last; shown++) {
      stopIfAsked(signal);
      const picture = filmFrame(plan, shown, (at) => pictures.get(at)!);
      const file = await store.save(
        "frames",
        shown,
        picture,
        filmMetadata(job, shown, promptAt(prompts, shown, false), picture),
      );
      yield { type: "frame", frame: shown, file };
      if (isPreviewDue(shown + 1) && shown + 1 < frames) {
        yield* writePreview(folder, store, shown + 1, frameRate);
      }
    }
    forget(pictures, plan, index);
  }
  yield* writeWhole(folder, framesOf(store, frames), frames, film);
}

/** Keeps the first drawn frame and the last two: memory does not grow with the film. */
function forget(pictures: Map<number, Picture>, { drawn }: AnimationPlan, index: number): void {
  const old = drawn[index - 1];
  if (index > 1 && old !== undefined) pictures.delete(old);
}

async function* drawFrame(
  model: Kandinsky3,
  job: FilmJob<"animate">,
  plan: AnimationPlan,
  index: number,
  pictures: ReadonlyMap<number, Picture>,
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
  if (start === undefined) return yield* drawOne(model, request, {}, task.frame, signal);
  const fitted =
    start.width === width && start.height === height ? start : await resizePicture(start, width, height);
  if (task.strength === 0) return { picture: fitted, metadata: filmMetadata(job, task.frame, task, fitted) };
  return yield* drawOne(model, request, { [MOVED]: fitted }, task.frame, signal);
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
