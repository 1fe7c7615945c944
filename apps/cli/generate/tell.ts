import type { Picture } from "../../../src/image/mod.ts";
import type { GenerateEvent, Job } from "../../../src/pipelines/mod.ts";
import { type Context, styled } from "../context.ts";
import type { Progress } from "../progress.ts";
import { formatBytes } from "../units.ts";
import type { Inline } from "./inline.ts";

type Told = Exclude<GenerateEvent, { type: "picture" }>;

/** Packed files below this need not be told of. */
const SMALL_PACK_BYTES = 20e6;

/** Previews come at most this often. */
const PREVIEW_MILLISECONDS = 300;

/** Turns the events of a run into what a person sees. */
export function startTelling(
  context: Context,
  progress: Progress,
  job: Job,
  inline: Inline | undefined,
  announced: boolean,
) {
  const { text, language } = context;
  const total = job.pictures.length;
  let drawn = 0;
  let stepSeconds = 0;
  let steps = 0;
  let previewAt = 0;

  const place = (pictures: readonly number[]) => {
    const [first, last] = [Math.min(...pictures) + 1, Math.max(...pictures) + 1];
    return total === 1 ? [] : [text.run.picture(first === last ? `${first}` : `${first}-${last}`, total)];
  };

  const handlers: { [K in Told["type"]]: (event: Extract<Told, { type: K }>) => void | Promise<void> } = {
    start: () => {},
    // Told before the start.
    plan: () => {},
    memory: ({ privateBytes, residentBytes }) => {
      if (!announced) return;
      const [own, all] = [privateBytes, residentBytes].map((count) => formatBytes(count, language));
      progress.say(text.run.memory(own!, all!));
    },
    notice: (event) => {
      const words = noticeText(context, event);
      const which =
        total > 1 && "picture" in event ? `${text.run.picture(`${event.picture + 1}`, total)}: ` : "";
      progress.say(`${styled(context, "note", text.run.warning)}: ${which}${words}`);
    },
    pack: ({ part, doneBytes, bytes, file }) => {
      if (bytes < SMALL_PACK_BYTES) return;
      const [done, all] = [doneBytes, bytes].map((count) => formatBytes(count, language)) as [string, string];
      if (doneBytes === 0) progress.say(text.run.pack(part, all, file));
      progress.update({ label: text.run.packing(part, done, all), fraction: doneBytes / bytes });
    },
    stage: ({ stage, pictures }) => {
      const detail = place(pictures).join(", ");
      progress.update({ label: text.run.stages[stage], ...(detail === "" ? {} : { detail }) });
    },
    texts: ({ pictures, encoded }) => {
      if (encoded > 0) return;
      progress.update({
        label: text.run.stages.encode,
        detail: [text.run.known, ...place(pictures)].join(", "),
      });
    },
    step: async ({ pictures, index, total: count, seconds, previews }) => {
      steps++;
      stepSeconds += seconds;
      const groups = Math.ceil((total - drawn - pictures.length) / pictures.length);
      const left = count - 1 - index + count * Math.max(0, groups);
      progress.update({
        label: text.run.stages.denoise,
        detail: [text.run.step(index + 1, count), ...place(pictures)].join(", "),
        fraction: (index + 1) / count,
        secondsLeft: (left * stepSeconds) / steps,
      });
      const preview = previews[0];
      if (inline === undefined || preview === undefined) return;
      if (performance.now() - previewAt < PREVIEW_MILLISECONDS) return;
      const { text: escapes, lines } = await inline.draw(preview);
      progress.show(escapes, lines);
      previewAt = performance.now();
    },
  };

  return {
    event: async (event: Told): Promise<void> => {
      // The table ties each type to its handler; indexing by a union cannot show that to the compiler.
      await (handlers[event.type] as (event: Told) => void | Promise<void>)(event);
    },
    /** Shows a finished picture. */
    picture: async (picture: Picture): Promise<void> => {
      drawn++;
      if (inline === undefined) return;
      const { text: escapes } = await inline.draw(picture);
      context.stderr.write(escapes);
    },
  };
}

/** Characters of a list of unknown ones that are shown. */
const SHOWN_UNKNOWN = 12;

type NoticeEvent = Extract<Told, { type: "notice" }>;
type NoticeTexts = {
  readonly [N in NoticeEvent["notice"]]: (
    event: Extract<NoticeEvent, { notice: N }>,
    words: Context["text"]["run"]["notices"],
  ) => string;
};

const NOTICE_TEXTS: NoticeTexts = {
  "prompt-cut": ({ limit, tokens }, words) => words["prompt-cut"](limit, tokens),
  "guidance-off": ({ guidance, profile }, words) => words["guidance-off"](guidance, profile),
  "prompt-empty": (_, words) => words["prompt-empty"](),
  "mask-resized": ({ from, to }, words) => words["mask-resized"](from, to),
  inpainting: ({ by }, words) => words.inpainting[by],
  "prompt-outside": ({ subjects, folder }, words) => words["prompt-outside"](subjects, folder),
  "prompt-unknown": ({ unknown, characters }, words) => {
    const shown = [...new Set(unknown)];
    const more = shown.length > SHOWN_UNKNOWN ? " ..." : "";
    const list = shown.slice(0, SHOWN_UNKNOWN).join(" ") + more;
    return words["prompt-unknown"](unknown.length, characters, list);
  },
};

/** A notice in the user's language. */
export function noticeText({ text }: Context, event: NoticeEvent): string {
  // The table ties each notice to its words; indexing by a union cannot show that to the compiler.
  const word = NOTICE_TEXTS[event.notice] as (
    event: NoticeEvent,
    words: Context["text"]["run"]["notices"],
  ) => string;
  return word(event, text.run.notices);
}
