import { performance } from "node:perf_hooks";
import { z } from "zod";
import { openWorkerPool, prefetch } from "../data/mod.ts";
import { foldIn } from "../random/mod.ts";
import { ALL_LANGUAGES, NANO_CAPTIONS } from "../scenes/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import type { Trainer, TrainingProgram } from "../train/mod.ts";
import type { RunOf } from "./config.ts";
import { exportModel } from "./export.node.ts";
import { initialWeights } from "./initial.ts";
import { KEYS, type Learner, type OpenStage, type Workplace } from "./learner.ts";
import type { Figures } from "./log.node.ts";
import { shareOf } from "./share.ts";
import { subjectsOf, WORKERS } from "./source.node.ts";
import { type CaptionSource, headsOf, openCaptions, shownCodes, textFeeds } from "./text-batch.ts";
import { HEADS, textEncoderGraph, textEncoderParameters } from "./text-graph.ts";
import type { TextJob, TextPart, TextRequest } from "./text-job.node.ts";

type Config = RunOf<"text-encoder">;

/** Batches drawn ahead. */
const DEPTH = 3;

/** Captions of each language that the measure asks about, and how many go through the encoder together. */
const APART = 128;

/**
 * A T5 encoder, from captions of composed scenes in all languages: it learns to tell what they show, and that captions of
 * one scene say the same. Measured on combinations that training never shows, one row a language; Danish is never trained.
 */
export async function openTextEncoder(config: Config, workplace: Workplace): Promise<Learner> {
  const { model, key } = workplace;
  const { tokens, contrast } = config;
  const subjects = await subjectsOf(config.subjects);
  const languages: CaptionSource["languages"] = config.languages ?? NANO_CAPTIONS.languages;
  const heads = headsOf(shownCodes(subjects));
  const source: CaptionSource = { subjects, languages, split: "train" };
  const apart = openCaptions({ ...source, split: "held-out-combinations" });
  const t5 = model.text.config;
  const parameters = textEncoderParameters(t5, heads);
  let examiner: { readonly blocks: number; readonly program: TrainingProgram } | undefined;

  const prepare = (trainer: Trainer, batch: number, blocks: number) => {
    const graph = textEncoderGraph(t5, heads, { batch, length: tokens, blocks }, contrast);
    return trainer.prepare(`text encoder with ${blocks} blocks`, graph);
  };
  const examinerFor = async (trainer: Trainer, blocks: number): Promise<TrainingProgram> => {
    if (examiner?.blocks === blocks) return examiner.program;
    await examiner?.program.release();
    examiner = { blocks, program: await prepare(trainer, APART, blocks) };
    return examiner.program;
  };

  return {
    exports: "model",
    firstWeights: async () => initialWeights("text_encoder", parameters, foldIn(key, KEYS.weights)),
    async openStage(trainer, { index }, cursor): Promise<OpenStage> {
      const stage = config.stages[index]!;
      const { batch, parts, blocks, table } = stage;
      const share = shareOf(config.kind, stage, workplace.rank);
      const own = { first: (share.first * parts) / batch, count: share.parts };
      if (cursor === undefined && table !== 1) await trainer.rescale("shared.weight", table);
      const program = await prepare(trainer, batch / parts, blocks);
      const stageKey = foldIn(foldIn(key, KEYS.data), index);
      const pool = await openWorkerPool<TextRequest, TextJob, readonly TextPart[]>(
        new URL("./text-job.node.js", import.meta.url),
        { source, tokenizer: model.folder.parts.tokenizer!.folder, length: tokens },
        WORKERS,
      );
      const make = (number: number) =>
        pool.run({ key: foldIn(stageKey, number), pairs: batch / 2, parts, ...own });
      const first = z.int().min(0).default(0).parse(cursor);
      const ahead = prefetch(make, { first, depth: DEPTH, now: () => performance.now() });
      let number = first;
      return {
        async step(_, learningRate) {
          const drawn = await ahead.next();
          number += 1;
          const { loss, gradientNorm, results } = await trainer.step(
            program,
            drawn.map(({ feeds }) => feeds),
            { learningRate, samples: batch },
          );
          const rows = drawn.flatMap((part) => part.classes);
          const shares = heads.map(({ name }, head) => {
            const guesses = results.flatMap((one) => guessesOf(one, name));
            return partOf(rows, (row, i) => row[head] === guesses[i]);
          });
          const sums = await workplace.sum(shares);
          const right = heads.map(
            ({ name }, i) => [`${name}, right`, sums[i]! / workplace.rank.world] as const,
          );
          return { loss, gradientNorm, figures: Object.fromEntries(right), cursor: number };
        },
        waiting: () => ahead.waiting().share,
        async close() {
          ahead.stop();
          await pool.close();
          await program.release();
        },
      };
    },
    async measure(trainer, { index }): Promise<Figures> {
      const { blocks } = config.stages[index]!;
      const program = await examinerFor(trainer, blocks);
      const right = heads.map(() => 0);
      const byLanguage: [string, number][] = [];
      for (const [place, language] of ALL_LANGUAGES.entries()) {
        const at = foldIn(foldIn(key, KEYS.apart), place);
        const rows = Array.from({ length: APART }, (_, i) => apart.single(foldIn(at, i), language));
        const feeds = textFeeds(rows, model.tokenizer, tokens);
        const results = await trainer.evaluate(program, feeds, 0);
        const shares = heads.map(({ name }, head) => {
          const guesses = guessesOf(results, name);
          return partOf(rows, ({ classes }, i) => classes[head] === guesses[i]);
        });
        byLanguage.push([language, shares[0]!]);
        if (languages[language] === undefined) continue;
        for (const [head, share] of shares.entries()) right[head]! += share;
      }
      const trained = ALL_LANGUAGES.filter((one) => languages[one] !== undefined).length;
      const means = heads.map(({ name }, head) => [name, right[head]! / trained] as const);
      return Object.fromEntries([...means, ...byLanguage]);
    },
    async export(_, averaged, target) {
      const weights = new Map([...averaged].filter(([name]) => !name.startsWith(`${HEADS}.`)));
      await exportModel(model, { part: "text_encoder", weights }, target);
    },
    drawSheet: async () => false,
    close: async () => examiner?.program.release(),
  };
}

function guessesOf(results: Readonly<Record<string, Tensor>>, head: string): number[] {
  return Array.from(results[`guess/${head}`]!.data as BigInt64Array, Number);
}

function partOf<T>(rows: readonly T[], isRight: (row: T, i: number) => boolean): number {
  return rows.filter(isRight).length / rows.length;
}
