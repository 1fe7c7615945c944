import { KandinskyError } from "../base/mod.ts";
import { encodePixels, type Picture, type PictureMetadata } from "../image/mod.ts";
import { type Kandinsky3, type PictureRequest, SAMPLING } from "../pipelines/mod.ts";
import type { FilmEvent } from "./events.ts";
import type { FilmJob } from "./job.node.ts";
import { drawnMetadata } from "./metadata.ts";

/** A picture that the model drew, and its settings. */
export interface Drawn {
  readonly picture: Picture;
  readonly metadata: PictureMetadata;
}

/** Pictures that a request names which are no files, by the names that it gives them. */
export type Given = Readonly<Record<string, Picture>>;

/** Draws one picture of a film, telling of it. Throws `cancelled` after the signal. */
export async function* drawOne(
  model: Kandinsky3,
  film: FilmJob,
  request: PictureRequest,
  given: Given,
  frame: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<FilmEvent, Drawn, void> {
  const open = async (name: string) => {
    const picture = given[name];
    if (picture === undefined)
      throw new KandinskyError("file_missing", { what: "no such picture", where: name });
    return encodePixels(picture, "png");
  };
  const job = await model.resolve(request, open);
  let drawn: Drawn | undefined;
  for await (const event of model.generate(job, { open, ...(signal === undefined ? {} : { signal }) })) {
    if (event.type === "picture") {
      drawn = { picture: event.picture, metadata: drawnMetadata(film, event.metadata) };
    } else yield { type: "drawing", frame, event };
  }
  if (drawn === undefined) throw new KandinskyError("engine_died", { what: "no picture was drawn" });
  return drawn;
}

type Sampling = keyof typeof SAMPLING | "negative";

/** What of a film's settings every picture of it is drawn with. */
export function samplingOf<S extends { readonly [K in Sampling]?: unknown }>(settings: S): Pick<S, Sampling> {
  const names = [...Object.keys(SAMPLING), "negative"];
  const entries = Object.entries(settings).filter(
    ([name, value]) => names.includes(name) && value !== undefined,
  );
  return Object.fromEntries(entries) as Pick<S, Sampling>;
}
