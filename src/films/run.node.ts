import type { Kandinsky3 } from "../pipelines/mod.ts";
import { type AnimateOptions, animate } from "./animate.node.ts";
import type { FilmEvent } from "./events.ts";
import type { FilmJob } from "./job.node.ts";
import type { FilmOperation } from "./request.ts";
import { zoom } from "./zoom.node.ts";

const RUNNERS: {
  readonly [O in FilmOperation]: (
    model: Kandinsky3,
    job: FilmJob<O>,
    options: AnimateOptions,
  ) => AsyncGenerator<FilmEvent, void, void>;
} = { animate, zoom };

/**
 * Makes a film into its folder, or what of it is not there yet. Throws `cancelled` after the signal, and what drawing
 * and writing throw; the frames that are done stay.
 */
export function runFilm(
  model: Kandinsky3,
  job: FilmJob,
  options: AnimateOptions,
): AsyncGenerator<FilmEvent, void, void> {
  // The table ties each operation to its job; indexing by a union cannot show that to the compiler.
  return RUNNERS[job.settings.operation](model, job as never, options);
}
