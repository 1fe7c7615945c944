import type { Language } from "../scenes/mod.ts";
import type { GridFigures } from "./grid.ts";
import type { Told, Verdict } from "./judge.ts";
import { type Answered, type Group, type Retrieval, type Summary, summarise } from "./questions.ts";
import { type Rate, rateOf } from "./rate.ts";

/** An answer, its picture's file, and how far the nearest training picture is. */
export interface Judged extends Answered {
  /** Relative to the report. */
  readonly file: string;
  readonly nearest: number;
}

/** The 0th to 100th percentile in steps of 2. */
export type Quantiles = readonly number[];

/** How often the right subject is among the first 1, 2, ... of a hundred. */
export interface RankCurve {
  readonly language: Language;
  readonly shares: readonly number[];
}

/** A subject and how well it is drawn. */
export interface SubjectFigures {
  readonly code: string;
  readonly first: Rate;
  readonly five: Rate;
  /** What its pictures look like instead, the most frequent first. */
  readonly takenFor: readonly string[];
}

/** What an evaluation has found: `report.json`. */
export interface Report {
  readonly model: { readonly name: string; readonly fingerprint: string };
  /** How pictures were drawn. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly languages: readonly Language[];
  readonly seeds: readonly number[];
  /** Of the model's list, how many there are and how many were asked for alone. */
  readonly subjects: { readonly listed: number; readonly asked: number };
  readonly rates: readonly Summary[];
  readonly curves: readonly RankCurve[];
  /**
   * Colour distance to the nearest of `library` training scenes: of the model's pictures, and of drawings of the data that
   * are not among them.
   */
  readonly nearest: { readonly library: number; readonly pictures: Quantiles; readonly fresh: Quantiles };
  readonly judge: JudgeFigures;
  readonly grids: GridMedians | undefined;
  /** The worst first. */
  readonly bySubject: readonly SubjectFigures[];
  readonly pictures: readonly PictureFigures[];
}

/** How far the judge itself can be trusted. */
export interface JudgeFigures {
  /** The classifier's own figures on pictures apart, as its file has them; shares by name. */
  readonly measured: Readonly<Record<string, number>>;
  /** Fresh drawings of the subjects asked for, in the place of the model's pictures. */
  readonly drawings: Told<Retrieval>;
  /** The same drawings, judged as if another subject had been asked for: what chance gives. */
  readonly others: Told<Retrieval>;
}

/** Medians of the pictures that were to be grids. */
export interface GridMedians {
  readonly pictures: number;
  /** Cells of nine with a subject. */
  readonly filled: number;
  /** The larger error of the two periods, as a part of the right one. */
  readonly periodError: number;
  /** Distance of the centres from the best lattice, in units of the period. */
  readonly residual: number;
  /** Degrees. */
  readonly tilt: number;
  /** Correlation of the most different cell with the mean. */
  readonly alike: number;
}

/** One picture of a report. */
export interface PictureFigures extends Verdict {
  readonly file: string;
  readonly group: Group;
  readonly language: Language;
  readonly prompt: string;
  readonly seed: number;
  /** The code of the first subject. */
  readonly code: string;
  readonly right: boolean;
  readonly nearestTraining: number;
}

/** Ranks that a curve goes to. */
const CURVE = 20;

/** Parts of a report that follow from the judged pictures. */
export function figuresOf(
  judged: readonly Judged[],
): Pick<Report, "rates" | "curves" | "bySubject" | "pictures" | "grids"> {
  const alone = judged.filter(({ question }) => question.group === "subject");
  const languages = [...new Set(alone.map(({ question }) => question.language))];
  const curves = languages.map((language) => {
    const ranks = alone
      .filter(({ question }) => question.language === language)
      .map(({ verdict }) => verdict.ranks!.features.hundred);
    const shares = Array.from(
      { length: CURVE },
      (_, k) => ranks.filter((rank) => rank <= k).length / ranks.length,
    );
    return { language, shares };
  });
  return {
    rates: summarise(judged),
    curves,
    bySubject: subjectsOf(alone),
    grids: gridMedians(
      judged.flatMap(({ verdict: { figures } }) => (figures === undefined ? [] : [figures])),
    ),
    pictures: judged.map(({ question, verdict, file, nearest }) => ({
      file,
      group: question.group,
      language: question.language,
      prompt: question.prompt,
      seed: question.seed,
      code: question.spec.subjects[0]!.code,
      right: isRight(verdict),
      ...verdict,
      nearestTraining: nearest,
    })),
  };
}

/** Whether everything that was asked for is there. */
export function isRight({ background, ranks, count, relation, grid }: Verdict): boolean {
  return (
    background &&
    (ranks?.features.hundred ?? 0) === 0 &&
    [count, relation, grid].every((given) => given !== false)
  );
}

function subjectsOf(alone: readonly Judged[]): SubjectFigures[] {
  const codes = [...new Set(alone.map(({ question }) => question.spec.subjects[0]!.code))];
  return codes
    .map((code) => {
      const ranks = alone
        .filter(({ question }) => question.spec.subjects[0]!.code === code)
        .map(({ verdict }) => verdict.ranks!.features);
      return {
        code,
        first: rateOf(ranks.map(({ hundred }) => hundred === 0)),
        five: rateOf(ranks.map(({ hundred }) => hundred < 5)),
        takenFor: byFrequency(ranks.map(({ nearest }) => nearest).filter((nearest) => nearest !== code)),
      };
    })
    .sort((a, b) => a.five.share - b.five.share || a.first.share - b.first.share);
}

function gridMedians(grids: readonly GridFigures[]): GridMedians | undefined {
  if (grids.length === 0) return undefined;
  const median = (read: (figures: GridFigures) => number) => quantilesOf(grids.map(read))[25]!;
  return {
    pictures: grids.length,
    filled: median(({ filled }) => filled),
    periodError: median(({ period }) => Math.max(...period.map((length) => Math.abs(3 * length - 1)))),
    residual: median(({ residual }) => residual),
    tilt: median(({ tilt }) => tilt),
    alike: median(({ alike }) => alike),
  };
}

function byFrequency(codes: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const code of codes) counts.set(code, (counts.get(code) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([code]) => code);
}

/** Percentiles of values, of which there is at least one. */
export function quantilesOf(values: readonly number[]): Quantiles {
  const sorted = [...values].sort((a, b) => a - b);
  return Array.from({ length: 51 }, (_, i) => sorted[Math.round((i / 50) * (sorted.length - 1))]!);
}
