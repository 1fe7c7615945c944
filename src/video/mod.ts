export {
  checkFilm,
  FILM_CODEC,
  FILM_FORMATS,
  type FilmFormat,
  type FilmOptions,
  filmFormatOf,
} from "./format.ts";
export { type FilmFrame, type FilmInfo, inspectFilm, readFilm } from "./read-film.node.ts";
export { readFilmSettings } from "./settings.node.ts";
export { writeFilm } from "./write-film.node.ts";
