import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  amongOthers,
  EVALUATION_ROOT,
  featuresOf,
  modelSubjects,
  rankOf,
  rankSubjects,
  type SubjectBook,
  subjectBook,
} from "../../src/evaluation/mod.ts";
import { encodePixels, type Picture } from "../../src/image/mod.ts";
import { holeRatio, type Mask } from "../../src/masks/mod.ts";
import { EMBEDDED_MODEL, Kandinsky3 } from "../../src/pipelines/mod.ts";
import { foldIn } from "../../src/random/mod.ts";
import { type Masters, openMasters, readSubjects, SCENES_CACHE } from "../../src/scenes/mod.ts";
import { median } from "../quantization/figures.ts";
import { maskedDecibels, meanFill, seamSteps } from "./figures.ts";
import { type HeldOut, heldOutPictures } from "./pictures.ts";

/**
 * `node dist/tools/inpaint-bar/main.js [--model FOLDER] [--fallback FOLDER] [--pictures 200]`: fills holes in pictures
 * that no training saw, by a model for inpainting, by one that is not (the embedded one by default), and with the mean
 * colour. Prints median PSNR within the holes, how often a single subject is still among the nearest 5 of 100, and the
 * step over the hole's border beside that of the original; with `--model`, fails where that misses a bar.
 *
 * `--subjects FILE`: what both models draw (the embedded model's list); `--size 64`, `--steps`, `--guidance`; `--json FILE`
 * keeps all figures of all pictures.
 */

const { values: options } = parseArgs({
  options: {
    model: { type: "string" },
    fallback: { type: "string", default: EMBEDDED_MODEL },
    pictures: { type: "string", default: "200" },
    subjects: { type: "string", default: join(EMBEDDED_MODEL, "subjects.json") },
    size: { type: "string", default: "64" },
    steps: { type: "string", default: "25" },
    guidance: { type: "string" },
    threads: { type: "string" },
    json: { type: "string" },
  },
});

const LEAST_GAIN = 2;
const MOST_LOST = 0.05;
const MOST_SEAM = 1.2;

/** What one way of filling made of one picture. */
interface Filled {
  /** Within the hole. */
  readonly decibels: number;
  readonly seam: number;
  /** Whether the subject is among the nearest 5 of 100; undefined where the picture has more than one. */
  readonly five: boolean | undefined;
}

/** What one way of filling comes to. */
interface Row {
  readonly name: string;
  readonly decibels: number;
  readonly five: number;
  /** Steps over the borders of all holes, beside those of the originals. */
  readonly seam: number;
}

type Judge = (picture: Picture, index: number) => Filled;

/**
 * Fills all holes with the defaults of `kandinsky inpaint`, picture k with the seed k. What was in them is taken out
 * beforehand: blending would see something of it in the latents around the hole.
 */
async function fill(folder: string, pictures: readonly HeldOut[], judge: Judge) {
  await using model = await Kandinsky3.load({
    model: folder,
    ...(options.threads === undefined ? {} : { threads: Number(options.threads) }),
  });
  const filled: Filled[] = [];
  for (const [seed, { picture, hole, prompt }] of pictures.entries()) {
    const files = new Map([
      ["picture.png", await encodePixels(meanFill(picture, hole), "png")],
      ["hole.png", await encodePixels(pictureOf(hole), "png")],
    ]);
    const request = {
      operation: "inpaint",
      image: "picture.png",
      mask: { from: "file", file: "hole.png" },
      ...{ prompt, seed, steps: Number(options.steps) },
      ...(options.guidance === undefined ? {} : { guidance: Number(options.guidance) }),
    } as const;
    for await (const event of model.generate(request, { open: async (name) => files.get(name)! })) {
      if (event.type === "picture") filled.push(judge(event.picture, seed));
    }
    process.stderr.write(`\r${model.info.name} ${filled.length}/${pictures.length} `);
  }
  process.stderr.write("\n");
  return { name: `${model.info.name}, ${model.info.inpaints ? "told" : "blending"}`, filled };
}

function pictureOf({ width, height, data }: Mask): Picture {
  return {
    width,
    height,
    data: Uint8Array.from({ length: 3 * data.length }, (_, i) => 255 * data[Math.floor(i / 3)]!),
  };
}

/** Ranks a picture's subject as `kandinsky evaluate` does. */
function judgeOf(pictures: readonly HeldOut[], masters: Masters, codes: readonly string[]): Judge {
  const books = new Map<string, SubjectBook>();
  return (seen, index) => {
    const { picture, hole, spec } = pictures[index]!;
    const { style, background, kind } = spec;
    const book = books.get(`${style} ${background}`) ?? subjectBook({ masters, style }, codes, background);
    books.set(`${style} ${background}`, book);
    const { code } = spec.subjects[0]!;
    const hundred = amongOthers(foldIn(EVALUATION_ROOT, index), code, codes, 100);
    const rank = () => rankOf(rankSubjects(featuresOf(seen), book, hundred), code);
    return {
      decibels: maskedDecibels(seen, picture, hole),
      seam: seamSteps(seen, hole),
      five: kind === "single" ? rank() < 5 : undefined,
    };
  };
}

function rowOf(name: string, filled: readonly Filled[], originals: readonly Filled[]): Row {
  const seams = (all: readonly Filled[]) => all.reduce((sum, { seam }) => sum + seam, 0);
  const ranked = filled.flatMap(({ five }) => (five === undefined ? [] : [five]));
  return {
    name,
    decibels: median(filled.map(({ decibels }) => decibels)),
    five: ranked.filter((five) => five).length / ranked.length,
    seam: seams(filled) / seams(originals),
  };
}

function lineOf({ name, decibels, five, seam }: Row): string {
  const cells = [decibels.toFixed(2), `${(100 * five).toFixed(1)} %`, seam.toFixed(2)];
  return [name.padEnd(36), ...cells.map((cell) => cell.padStart(12))].join("");
}

async function main(): Promise<number> {
  const known = await readSubjects();
  const kept = new Set(known.filter(({ heldOut }) => heldOut).map(({ code }) => code));
  const listed = modelSubjects(
    JSON.parse(await readFile(options.subjects, "utf8")),
    options.subjects,
    known,
    ["en"],
  );
  const subjects = listed.filter(({ code }) => !kept.has(code));
  const codes = [...new Set([...known, ...subjects].map(({ code }) => code))];
  const styles = [...new Set(subjects.map(({ style }) => style))];
  const masters = await openMasters({ folder: SCENES_CACHE, codes, styles });
  const pictures = heldOutPictures(Number(options.pictures), subjects, masters, Number(options.size));
  const judge = judgeOf(pictures, masters, codes);

  const originals = pictures.map(({ picture }, i) => judge(picture, i));
  const mean = {
    name: "mean colour",
    filled: pictures.map(({ picture, hole }, i) => judge(meanFill(picture, hole), i)),
  };
  const fallback = await fill(options.fallback, pictures, judge);
  const own = options.model === undefined ? undefined : await fill(options.model, pictures, judge);
  const ways = [
    { name: "the originals", filled: originals },
    mean,
    fallback,
    ...(own === undefined ? [] : [own]),
  ];
  const rows = ways.map(({ name, filled }) => rowOf(name, filled, originals));

  const holes = pictures.map(({ hole }) => holeRatio(hole));
  const singles = originals.filter(({ five }) => five !== undefined).length;
  console.log(
    `${pictures.length} pictures of ${options.size} px, ${singles} of one subject; holes of ` +
      `${(100 * Math.min(...holes)).toFixed(0)} to ${(100 * Math.max(...holes)).toFixed(0)} %, median ${(100 * median(holes)).toFixed(0)} %`,
  );
  console.log(["".padEnd(36), ...["PSNR, dB", "first 5", "seam"].map((word) => word.padStart(12))].join(""));
  for (const row of rows) console.log(lineOf(row));
  if (options.json !== undefined) {
    const single = pictures.map(({ spec, split, prompt }, i) => ({
      ...{ kind: spec.kind, split, prompt, hole: holes[i] },
      ways: Object.fromEntries(ways.map(({ name, filled }) => [name, filled[i]])),
    }));
    await writeFile(options.json, `${JSON.stringify({ options, rows, pictures: single }, undefined, 1)}\n`);
  }
  return own === undefined ? 0 : verdict(rows as [Row, Row, Row, Row]);
}

/** Says which bars hold; 1 where one does not. */
function verdict([original, mean, fallback, own]: readonly [Row, Row, Row, Row]): number {
  const bars: readonly (readonly [says: string, holds: boolean])[] = [
    [`${LEAST_GAIN} dB above the mean colour`, own.decibels >= mean.decibels + LEAST_GAIN],
    [`${LEAST_GAIN} dB above ${fallback.name}`, own.decibels >= fallback.decibels + LEAST_GAIN],
    [
      `subject as often as in the originals less ${100 * MOST_LOST} points`,
      own.five >= original.five - MOST_LOST,
    ],
    [`seam at most ${MOST_SEAM} times the originals'`, own.seam <= MOST_SEAM],
  ];
  for (const [says, holds] of bars) console.log(`${holds ? "ok  " : "MISS"} ${says}`);
  return bars.every(([, holds]) => holds) ? 0 : 1;
}

process.exitCode = await main();
