import { checkBuckets, type Rank } from "../data/mod.ts";
import { cropPicture, fitPreviewMatrix, type Picture, tensorFromPicture } from "../image/mod.ts";
import { movqParameters } from "../models/mod.ts";
import { PREVIEW_FILE } from "../pipelines/mod.ts";
import { drawsOf, foldIn, type Key, normal } from "../random/mod.ts";
import { concatRows, float32, row, type Tensor } from "../tensor/mod.ts";
import type { Trainer, TrainingProgram } from "../train/mod.ts";
import { autoencoderGraph } from "./autoencoder-graph.ts";
import type { RunOf } from "./config.ts";
import { exportModel } from "./export.node.ts";
import { channelScales, foldLatents } from "./fold-latents.ts";
import { initialWeights } from "./initial.ts";
import { KEYS, type Learner, type OpenStage, type Workplace, wholeBatch } from "./learner.ts";
import { ALONE, shareOf } from "./share.ts";
import { openSource } from "./source.node.ts";

type Config = RunOf<"autoencoder">;

/** One in so many rows is decoded from codes; the others get noise of this deviation, as latents will have errors. */
const QUANTIZED = 4;
const NOISE = 0.05;

/** Batches of whole pictures that are measured, of the size of the first stage's: data may not fill a larger one. */
const TIMES = 2;

/**
 * A MoVQ, on squares cut out of pictures. Measured as PSNR on whole pictures of a fixed draw; the export moves the latents
 * so that 99.9 % of theirs lie within [-1,1], and fits the matrix of the preview.
 */
export async function openAutoencoder(config: Config, workplace: Workplace): Promise<Learner> {
  const { model, key } = workplace;
  const { crop, data } = config;
  const movq = model.movq.config;
  const { cell } = model.info;
  for (const { sizes } of config.stages) checkBuckets(sizes, cell);
  const beginning = config.stages[0]!;
  const { width, height } = beginning.sizes[0]!;
  const count = beginning.batch;
  const sourceOf = (stage: Config["stages"][number], rank: Rank, at: Key, cursor: unknown, apart: boolean) =>
    openSource({
      data,
      stage,
      rank,
      key: at,
      cursor,
      apart,
      cache: workplace.cache,
      objects: false,
      onSkipped: (skipped) => workplace.tell({ type: "skipped", skipped }),
      onPrepare: (what) => workplace.tell({ type: "prepare", what }),
    });

  let apart: readonly (readonly Picture[])[] | undefined;
  const picturesApart = async () => {
    if (apart !== undefined) return apart;
    const stage = { ...beginning, sizes: [{ width, height }] };
    const source = await sourceOf(stage, ALONE, foldIn(key, KEYS.apart), undefined, true);
    const batches: (readonly Picture[])[] = [];
    for (let i = 0; i < TIMES; i++) batches.push((await source.next()).pictures);
    await source.close();
    apart = batches;
    return batches;
  };

  let examiner: TrainingProgram | undefined;
  /** What the averaged weights make of the pictures kept apart, batch by batch. */
  const examine = async (trainer: Trainer, quantized: number) => {
    examiner ??= await trainer.prepare(
      `autoencoder at ${width}x${height}`,
      autoencoderGraph(movq, { batch: count, height, width }),
    );
    const cells = [count, movq.vqEmbedDim, height / cell, width / cell];
    const results: Readonly<Record<string, Tensor>>[] = [];
    for (const pictures of await picturesApart()) {
      const feeds = {
        image: concatRows(pictures.map(tensorFromPicture)),
        noise: float32(cells, new Float32Array(cells.reduce((a, b) => a * b))),
        quantized: float32([count, 1, 1, 1], new Float32Array(count).fill(quantized)),
      };
      results.push(await trainer.evaluate(examiner, feeds, 0));
    }
    return results;
  };

  return {
    exports: "model",
    firstWeights: async () => initialWeights("movq", movqParameters(movq), foldIn(key, KEYS.weights)),
    async openStage(trainer, { index }, cursor): Promise<OpenStage> {
      const stage = config.stages[index]!;
      const share = shareOf(config.kind, stage, workplace.rank);
      const rows = share.rows / share.parts;
      const shape = { batch: rows, height: crop, width: crop };
      const program = await trainer.prepare(`autoencoder at ${crop}x${crop}`, autoencoderGraph(movq, shape));
      const at = foldIn(foldIn(key, KEYS.data), index);
      const source = await sourceOf(stage, workplace.rank, at, cursor, false);
      return {
        async step(update, learningRate) {
          const { pictures, cursor: after } = await source.next();
          const at = foldIn(foldIn(key, KEYS.objective), update);
          const latent = [movq.vqEmbedDim, crop / cell, crop / cell];
          const parts = Array.from({ length: share.parts }, (_, part) => {
            const own = pictures.slice(part * rows, (part + 1) * rows);
            return feedsOf(own, share.first + part * rows, { side: crop, latent, key: at });
          });
          const options = { learningRate, samples: stage.batch };
          const { loss, gradientNorm, results } = await trainer.step(program, parts, options);
          const [{ width: wide, height: high }] = pictures as readonly [Picture];
          const figures = { "PSNR, dB": psnrOf(await wholeBatch(workplace, squaresOf(results))) };
          return { width: wide, height: high, loss, gradientNorm, figures, cursor: after };
        },
        waiting: () => source.waiting().share,
        async close() {
          await source.close();
          await program.release();
        },
      };
    },
    measure: async (trainer) => ({
      "PSNR, dB": psnrOf(squaresOf(await examine(trainer, 0))),
      "PSNR of codes, dB": psnrOf(squaresOf(await examine(trainer, 1))),
    }),
    async export(trainer, averaged, target) {
      const latents = (await examine(trainer, 0)).map(({ latents: one }) => one as Tensor<"float32">);
      const scales = channelScales(latents);
      const moved = latents.flatMap((batch) =>
        Array.from({ length: count }, (_, i) => {
          const { shape, data: values } = row(batch, i);
          const size = (shape[2] as number) * (shape[3] as number);
          const scaleOf = (at: number) => scales[Math.floor(at / size)]!;
          return float32(
            shape.slice(1),
            values.map((x, at) => (x - scaleOf(at).mean) / scaleOf(at).scale),
          );
        }),
      );
      const preview = fitPreviewMatrix(moved, (await picturesApart()).flat());
      const files = { [PREVIEW_FILE]: JSON.stringify(preview) };
      await exportModel(model, { part: "movq", weights: foldLatents(averaged, scales), files }, target);
    },
    drawSheet: async () => false,
    close: async () => examiner?.release(),
  };
}

/**
 * A square of each picture, where the key of its row says, with noise; one in four is decoded from codes. `first` is the
 * first picture's row in the whole batch.
 */
function feedsOf(
  pictures: readonly Picture[],
  first: number,
  { side, latent, key }: { readonly side: number; readonly latent: readonly number[]; readonly key: Key },
): Record<string, Tensor> {
  const keys = pictures.map((_, i) => foldIn(key, first + i));
  const images = pictures.map((picture, i) => {
    const draws = drawsOf(foldIn(keys[i]!, SQUARES));
    const [left, top] = [draws.whole(0, picture.width - side), draws.whole(0, picture.height - side)];
    return tensorFromPicture(cropPicture(picture, { left, top, width: side, height: side }));
  });
  const noise = concatRows(keys.map((one) => normal(foldIn(one, NOISES), [1, ...latent])));
  return {
    image: concatRows(images),
    noise: float32(
      noise.shape,
      noise.data.map((x) => NOISE * x),
    ),
    quantized: float32(
      [pictures.length, 1, 1, 1],
      pictures.map((_, i) => ((first + i) % QUANTIZED === 0 ? 1 : 0)),
    ),
  };
}

const SQUARES = 0;
const NOISES = 1;

function squaresOf(results: readonly Readonly<Record<string, Tensor>>[]): number[] {
  return results.flatMap((one) => Array.from(one["squares"]!.data as Float32Array));
}

/** Of mean squared differences of pictures in [-1,1]: the peak is 2. */
function psnrOf(squares: readonly number[]): number {
  return 10 * Math.log10(4 / (squares.reduce((sum, x) => sum + x, 0) / squares.length));
}
