export { type AnimateOptions, animate } from "./animate.node.ts";
export type { FilmEvent } from "./events.ts";
export { beginFilm, begunFilm, type FilmJob, type FilmPlace, goOnWith } from "./job.node.ts";
export { describeFilm, type FilmDescription } from "./metadata.ts";
export {
  type AnimateRequest,
  animateRequest,
  depthOf,
  FILM_REQUESTS,
  type FilmOperation,
  type FilmRequest,
  type ZoomRequest,
  zoomRequest,
} from "./request.ts";
export { runFilm } from "./run.node.ts";
export type { FilmOutput } from "./write.node.ts";
