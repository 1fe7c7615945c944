import type { Command } from "commander";
import { FILM_FORMATS } from "../../../src/video/mod.ts";
import type { Messages } from "../messages/mod.ts";
import { number, ratio, size } from "../values.ts";

export const list = (names: readonly string[]) => names.join(", ");

/** Collects what an option names each time that it is given. */
export const many = (raw: string, before: readonly string[] = []) => [...before, raw];

/** Options about what every frame of a film shows. */
export function addFrameOptions(command: Command, { generate: g, films: t, groups }: Messages): Command {
  return command
    .optionsGroup(groups.picture)
    .option("--negative <text>", g.negative)
    .option("--image <file>", t.image)
    .option("--size <WxH>", g.size, size("--size"))
    .option("--ratio <W:H>", g.ratio, ratio("--ratio"))
    .option("--seed <n>", t.seed, number("--seed"));
}

/** Options about a film's folder and file. */
export function addFilmOptions(command: Command, { generate: g, films: t, groups }: Messages): Command {
  return command
    .optionsGroup(groups.output)
    .option("--out, --output <folder>", t.output)
    .option("--film <name>", t.film(list(Object.keys(FILM_FORMATS))))
    .option("--fps <n>", t.fps, number("--fps"))
    .option("--quality <n>", t.quality, number("--quality"))
    .option("--loop <n>", t.loop, number("--loop"))
    .option("--audio <file>", t.audio)
    .option("--json", g.json)
    .option("--resume <folder>", t.resume);
}
