import { z } from "zod";
import { meansTensor } from "../image/mod.ts";
import { classifierJson, classifierParameters } from "../models/mod.ts";
import { foldIn, type Key } from "../random/mod.ts";
import {
  aloneSpec,
  composeScene,
  drawSpec,
  type Masters,
  NANO_CAPTIONS,
  NANO_SCENES,
  openMasters,
  openSceneStream,
  SCENES_CACHE,
  type SceneOptions,
  type SceneSpec,
} from "../scenes/mod.ts";
import { float32, row, type Tensor } from "../tensor/mod.ts";
import type { Trainer, TrainingProgram } from "../train/mod.ts";
import { classifierLossGraph, wornImages } from "./classifier-batch.ts";
import type { RunOf } from "./config.ts";
import { exportNetwork } from "./export.node.ts";
import { initialWeights } from "./initial.ts";
import { type Bench, KEYS, type Learner, type OpenStage } from "./learner.ts";
import type { Figures } from "./log.node.ts";
import { shareOf } from "./share.ts";
import { stylesOf, subjectsOf, WORKERS } from "./source.node.ts";

type Config = RunOf<"classifier">;

/** Batches drawn ahead. */
const DEPTH = 3;

/** Pictures that go through the measure together, how many of those are drawn, and their sides in turn. */
const APART = 128;
const TIMES = 4;
const SIDES = [64, 128] as const;

/** Subjects that one it was never taught is looked for among. */
const HUNDRED = 100;

/**
 * A classifier of subjects, on renders of them alone: on every background, of many sizes and places, small or large, with
 * colours that are off. Subjects that are kept from training are not shown to it either; it is measured on scenes
 * apart, and on finding those by the likeness of features.
 */
export async function openClassifier(config: Config, { key, tell, rank, sum }: Bench): Promise<Learner> {
  const { data, network } = config;
  const subjects = await subjectsOf(data.subjects);
  const classes = subjects.filter(({ heldOut }) => !heldOut).map(({ code }) => code);
  const numbers = new Map(classes.map((code, number) => [code, number]));
  let measured: Figures = {};
  const model = { ...network, classes, measured };
  const folder = data.folder ?? SCENES_CACHE;
  const scenes: SceneOptions = {
    ...NANO_SCENES,
    styles: data.styles,
    kinds: { single: 1, relation: 0, count: 0, grid: 0 },
    alone: { side: [0.6, 0.95], shift: 0.08 },
    white: 0.3,
  };
  const classesOf = (specs: readonly SceneSpec[]): Tensor<"float32"> =>
    float32(
      [specs.length, 1],
      specs.map(({ subjects: [one] }) => numbers.get(one!.code) ?? 0),
    );

  let examiner: TrainingProgram | undefined;
  let masters: Masters | undefined;
  const examine = async (trainer: Trainer, specs: readonly SceneSpec[], side: number, worn?: Key) => {
    examiner ??= await trainer.prepare("classifier, measured", classifierLossGraph(model, APART));
    masters ??= await openMasters({
      folder,
      codes: subjects.map(({ code }) => code),
      styles: stylesOf(data),
    });
    const drawn = specs.map((spec) => composeScene(spec, masters!, side));
    const image = meansTensor(drawn, network.side);
    const feeds = { image: worn === undefined ? image : wornImages(image, worn), classes: classesOf(specs) };
    return trainer.evaluate(examiner, feeds, 0);
  };

  /** Part of scenes apart whose class is guessed. */
  const rightShare = async (trainer: Trainer, at: Key, side: number, worn: boolean): Promise<number> => {
    let right = 0;
    for (let time = 0; time < TIMES; time++) {
      const own = foldIn(at, time);
      const specs = Array.from({ length: APART }, (_, i) => drawSpec(foldIn(own, i), subjects, scenes));
      const { guess } = await examine(trainer, specs, side, worn ? own : undefined);
      const wantedClasses = classesOf(specs).data;
      const guesses = Array.from(guess!.data as BigInt64Array, Number);
      right += guesses.filter((one, i) => one === wantedClasses[i]).length;
    }
    return right / (TIMES * APART);
  };

  const featuresOf = async (trainer: Trainer, specs: readonly SceneSpec[]): Promise<Float32Array[]> => {
    const found: Float32Array[] = [];
    for (let at = 0; at < specs.length; at += APART) {
      const own = specs.slice(at, at + APART);
      const filled = Array.from({ length: APART }, (_, i) => own[i] ?? own[0]!);
      const { features } = await examine(trainer, filled, network.side);
      found.push(...own.map((_, i) => row(features as Tensor<"float32">, i).data));
    }
    return found;
  };

  /** How often a subject that was never taught is nearest of a hundred by one drawing of each on white. */
  const unseenShare = async (trainer: Trainer, at: Key): Promise<number> => {
    const unseen = subjects.filter(({ heldOut }) => heldOut);
    const codes = [...unseen.map(({ code }) => code), ...classes].slice(0, HUNDRED);
    let [right, asked] = [0, 0];
    for (const style of stylesOf(data)) {
      const known = await featuresOf(
        trainer,
        codes.map((code) => aloneSpec(code, style, "white", 0.82)),
      );
      const specs = Array.from({ length: APART }, (_, i) =>
        drawSpec(foldIn(at, i), subjects, { ...scenes, split: "held-out-subjects", styles: { [style]: 1 } }),
      );
      for (const [i, features] of (await featuresOf(trainer, specs)).entries()) {
        const likeness = known.map((one) => one.reduce((sum, x, c) => sum + x * features[c]!, 0));
        asked += 1;
        if (codes[likeness.indexOf(Math.max(...likeness))] === specs[i]!.subjects[0]!.code) right += 1;
      }
    }
    return right / asked;
  };

  return {
    exports: "model",
    firstWeights: async () =>
      initialWeights("classifier", classifierParameters(model), foldIn(key, KEYS.weights)),
    async openStage(trainer, { index }, cursor): Promise<OpenStage> {
      const stage = config.stages[index]!;
      const { batch, parts, sizes } = stage;
      const share = shareOf(config.kind, stage, rank);
      const firstPart = (share.first * parts) / batch;
      const rows = batch / parts;
      const program = await trainer.prepare("classifier", classifierLossGraph(model, rows));
      const stream = await openSceneStream({
        ...{ subjects, scenes, captions: NANO_CAPTIONS, folder, batch, rank },
        buckets: sizes,
        key: foldIn(foldIn(key, KEYS.data), index),
        first: z.int().min(0).default(0).parse(cursor),
        workers: WORKERS,
        depth: DEPTH,
        onStage: (step) =>
          tell({ type: "prepare", what: "installs" in step ? step.installs.join(", ") : step.draws }),
      });
      return {
        async step(update, learningRate) {
          const { pictures, specs, bucket, next } = await stream.next();
          const at = foldIn(foldIn(key, KEYS.objective), update);
          const feeds = Array.from({ length: share.parts }, (_, part) => {
            const [from, to] = [part * rows, (part + 1) * rows];
            const image = meansTensor(pictures.slice(from, to), network.side);
            return {
              image: wornImages(image, foldIn(at, firstPart + part)),
              classes: classesOf(specs.slice(from, to)),
            };
          });
          const { loss, gradientNorm, results } = await trainer.step(program, feeds, {
            learningRate,
            samples: batch,
          });
          const guesses = results.flatMap(({ guess }) => Array.from(guess!.data as BigInt64Array, Number));
          const own = classesOf(specs).data.filter((one, i) => guesses[i] === one).length;
          const [right] = await sum([own]);
          return { ...bucket, loss, gradientNorm, figures: { right: right! / batch }, cursor: next };
        },
        waiting: () => stream.waiting().share,
        async close() {
          await stream.close();
          await program.release();
        },
      };
    },
    async measure(trainer) {
      const at = foldIn(key, KEYS.apart);
      const figures: Record<string, number> = {};
      for (const [i, side] of SIDES.entries()) {
        figures[`right at ${side} px`] = await rightShare(trainer, foldIn(at, i), side, false);
      }
      figures["right, colours off"] = await rightShare(trainer, foldIn(at, SIDES.length), SIDES[0], true);
      if (subjects.length > classes.length)
        figures["never taught, first of 100"] = await unseenShare(trainer, foldIn(at, SIDES.length + 1));
      measured = figures;
      return figures;
    },
    export: (_, averaged, target) => exportNetwork(classifierJson({ ...model, measured }), averaged, target),
    drawSheet: async () => false,
    close: async () => examiner?.release(),
  };
}
