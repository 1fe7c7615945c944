import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import { decodePicture, type Picture } from "../image/mod.ts";
import { foldIn } from "../random/mod.ts";
import {
  type Background,
  composeScene,
  drawSpec,
  type Masters,
  NANO_SCENES,
  type SceneSpec,
  type StyleName,
  type Subject,
} from "../scenes/mod.ts";
import type { Classifier } from "./classifier.node.ts";
import { featuresOf } from "./features.ts";
import { judge, type Others, type Ranks, ranksOf, type Told, type Verdict } from "./judge.ts";
import { type LikenessBook, likenessBook, rankByLikeness } from "./likeness.ts";
import { EVALUATION_ROOT, type Question, retrievalOf } from "./questions.ts";
import { amongOthers } from "./rate.ts";
import { type Ranking, rankSubjects, type SubjectBook, subjectBook } from "./references.ts";
import type { JudgeFigures } from "./report.ts";

/** What pictures are compared with. */
export interface JudgingOptions {
  readonly classifier: Classifier;
  readonly masters: Masters;
  /** Codes that there are masters of. */
  readonly codes: readonly string[];
  /** The model's own. */
  readonly subjects: readonly Subject[];
  /** Those of the seed model. */
  readonly seedCodes: readonly string[];
}

/** Judges pictures; drawings to compare with are made once, when they are first needed. */
export interface Judging {
  /** A picture of what was asked for; the seed is the picture's, by which the others are drawn. */
  judge(picture: Picture, spec: SceneSpec, seed: number): Promise<Verdict>;
  /** What it makes of fresh drawings of these subjects. */
  ofDrawings(subjects: readonly Subject[], size: number): Promise<JudgeFigures>;
}

/** The others that subjects are ranked among: all models and languages meet the same. */
const OTHERS = foldIn(EVALUATION_ROOT, 1);
const DRAWINGS = foldIn(EVALUATION_ROOT, 4);

/** Drawings that the judge itself is tried on. */
const TRIED = 200;

/** Opens what judges pictures of single subjects by features and by colours, and everything else by plain measures. */
export function openJudging({ classifier, masters, codes, subjects, seedCodes }: JudgingOptions): Judging {
  const own = subjects.map(({ code }) => code);
  const places = new Map(own.map((code, i) => [code, i]));
  const colourBooks = new Map<string, SubjectBook>();
  const likenessBooks = new Map<StyleName, LikenessBook>();
  const colourBookOf = (style: StyleName, background: Background): SubjectBook => {
    const name = `${style} ${background}`;
    const book = colourBooks.get(name) ?? subjectBook({ masters, style }, codes, background);
    colourBooks.set(name, book);
    return book;
  };
  const likenessBookOf = async (style: StyleName): Promise<LikenessBook> => {
    const book = likenessBooks.get(style) ?? (await likenessBook(classifier, masters, style, codes));
    likenessBooks.set(style, book);
    return book;
  };
  const rankingsOf = async (
    picture: Picture,
    { style, background }: SceneSpec,
    among: readonly string[],
  ): Promise<Told<Ranking>> => {
    const [features] = await classifier.featuresOf([picture]);
    return {
      features: rankByLikeness(features!, await likenessBookOf(style), among),
      colours: rankSubjects(featuresOf(picture), colourBookOf(style, background), among),
    };
  };
  const othersOf = (code: string, seed: number): Others => {
    const key = foldIn(foldIn(OTHERS, places.get(code)!), seed);
    return { hundred: amongOthers(key, code, codes, 100), own, seed: seedCodes };
  };
  const allOf = ({ hundred, own: listed, seed }: Others) => [...new Set([...hundred, ...listed, ...seed])];

  return {
    async judge(picture, spec, seed) {
      const others = othersOf(spec.subjects[0]!.code, seed);
      const rankings = spec.kind === "single" ? await rankingsOf(picture, spec, allOf(others)) : undefined;
      return judge(picture, spec, { masters, style: spec.style }, rankings, others);
    },
    async ofDrawings(asked, size) {
      const right: Told<Ranks>[] = [];
      const wrong: Told<Ranks>[] = [];
      for (const spec of drawingsOf(asked)) {
        const { code } = spec.subjects[0]!;
        const at = places.get(code)!;
        const other = own[(at + 1) % own.length]!;
        const [others, strangers] = [othersOf(code, 0), othersOf(other, 0)];
        const among = [...new Set([...allOf(others), ...allOf(strangers)])];
        const rankings = await rankingsOf(composeScene(spec, masters, size), spec, among);
        const told = (wanted: string, of: Others): Told<Ranks> => ({
          features: ranksOf(rankings.features, of, wanted),
          colours: ranksOf(rankings.colours, of, wanted),
        });
        right.push(told(code, others));
        if (other !== code) wrong.push(told(other, withCode(strangers, code)));
      }
      const come = (ranks: readonly Told<Ranks>[]) => ({
        features: retrievalOf(ranks.map(({ features }) => features)),
        colours: retrievalOf(ranks.map(({ colours }) => colours)),
      });
      return { measured: classifier.config.measured, drawings: come(right), others: come(wrong) };
    },
  };
}

/** The hundred with what is really shown among them, in the place of the last. */
function withCode(others: Others, code: string): Others {
  if (others.hundred.includes(code)) return others;
  return { ...others, hundred: [...others.hundred.slice(0, -1), code] };
}

/** Subjects in their styles, placed and coloured as training does it. */
function drawingsOf(asked: readonly Subject[]): SceneSpec[] {
  const kinds = { single: 1, relation: 0, count: 0, grid: 0 };
  return Array.from({ length: TRIED }, (_, i) => {
    // Which were kept from training is a matter of models, not of the judge.
    const subject = { ...asked[i % asked.length]!, heldOut: false };
    const styles = { [subject.style]: 1 };
    return drawSpec(foldIn(DRAWINGS, i), [subject], { ...NANO_SCENES, kinds, styles });
  });
}

/** Judges the pictures of questions one after the other, from their files. */
export async function* judgeFiles(
  judging: Judging,
  questions: readonly Question[],
  fileOf: (question: Question) => string,
  folder: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ readonly question: Question; readonly verdict: Verdict; readonly picture: Picture }> {
  for (const question of questions) {
    if (signal?.aborted) throw new KandinskyError("cancelled", { what: "cancelled while judging" });
    const file = fileOf(question);
    const picture = await decodePicture(await readFile(join(folder, file)), file);
    yield { question, picture, verdict: await judging.judge(picture, question.spec, question.seed) };
  }
}
