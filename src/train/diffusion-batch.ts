import {
  addNoise,
  levelAt,
  type PredictionType,
  type ProfileName,
  predictionTarget,
  type Schedule,
} from "../diffusion/mod.ts";
import { drawsOf, foldIn, type Key, normal } from "../random/mod.ts";
import { concatRows, float32, row, type Tensor } from "../tensor/mod.ts";

/** One batch as it comes from the data: clean latents and encoded captions, padded to one length. */
export interface DiffusionSamples {
  /** [B,C,H,W], as the autoencoder makes them. */
  readonly latents: Tensor<"float32">;
  /** States of the text encoder [B,L,D]; rows past a caption's tokens are not looked at. */
  readonly hidden: Tensor<"float32">;
  /** Tokens of each caption, the end token included, 1 to L. */
  readonly tokens: readonly number[];
  /** More channels for the U-Net beside the noisy latent, [B,extra,H,W]: keep mask and masked latent. */
  readonly extra?: Tensor<"float32">;
}

/** How each row of a batch counts, by what the timestep's ratio of signal to noise is. */
export type Weighting = "even" | { readonly minSnr: number };

/** What is learnt, and from how much noise. */
export interface Objective {
  readonly schedule: Schedule;
  readonly prediction: PredictionType;
  readonly weighting: Weighting;
  /** Share of the rows that learn without a text. */
  readonly dropout: number;
  /** How no text is told to the U-Net. */
  readonly profile: ProfileName;
}

/** The inputs of `diffusionGraph`, and what was drawn. */
export interface DiffusionBatch {
  readonly feeds: Readonly<Record<string, Tensor>>;
  readonly times: readonly number[];
  /** Which rows lost their text. */
  readonly dropped: readonly boolean[];
}

/** Which rows of a larger batch some samples are. */
export interface RowsOf {
  readonly first: number;
  /** Rows of the whole batch. */
  readonly total: number;
}

/**
 * Draws timesteps, noise and dropped texts of a batch from a key, the same for the same key. Row k gets noise
 * of its own key, so that a batch in parts is the batch as a whole; `within` says which rows these samples are where
 * other processes have the others. Timesteps that are given are not drawn.
 */
export function diffusionBatch(
  samples: DiffusionSamples,
  objective: Objective,
  key: Key,
  { given, within }: { readonly given?: readonly number[]; readonly within?: RowsOf } = {},
): DiffusionBatch {
  const { latents, hidden, tokens, extra } = samples;
  const [batch, ...shape] = latents.shape as [number, ...number[]];
  const { first, total } = within ?? { first: 0, total: batch };
  const count = objective.schedule.alphasCumprod.length;
  const times = given ?? stratifiedTimes(foldIn(key, TIMES), total, count).slice(first, first + batch);
  const draws = drawsOf(foldIn(key, DROPS));
  const drops = Array.from({ length: total }, () => draws.chance(objective.dropout));
  const dropped = drops.slice(first, first + batch);
  const rows = times.map((time, b) => {
    const level = levelAt(objective.schedule, time);
    const clean = row(latents, b);
    const noise = normal(foldIn(foldIn(key, NOISE), first + b), [1, ...shape]);
    const noisy = addNoise(clean, noise, level);
    return {
      sample: extra === undefined ? noisy : joinChannels(noisy, row(extra, b)),
      target: predictionTarget(objective.prediction, clean, noise, level),
    };
  });
  return {
    times,
    dropped,
    feeds: {
      sample: concatRows(rows.map(({ sample }) => sample)),
      target: concatRows(rows.map(({ target }) => target)),
      timesteps: float32([1, batch], times),
      loss_weights: float32(
        [batch],
        times.map((time) => lossWeight(objective, time)),
      ),
      ...conditioning(hidden, tokens, dropped, objective.profile),
    },
  };
}

const TIMES = 0;
const NOISE = 1;
const DROPS = 2;

/**
 * One timestep from each of `batch` equal parts of 0..count-1, in random order: uniform, with less variance of
 * the loss than independent draws.
 */
export function stratifiedTimes(key: Key, batch: number, count: number): number[] {
  const draws = drawsOf(key);
  const parts = Array.from({ length: batch }, (_, i) => ({
    time: Math.min(count - 1, Math.floor(((i + draws.uniform(0, 1)) / batch) * count)),
    at: draws.uniform(0, 1),
  }));
  return parts.sort((a, b) => a.at - b.at).map(({ time }) => time);
}

/**
 * 1, or with min-SNR (Hang et al. 2023) the weight min(snr, limit) of the clean latent's error, told in terms of
 * what is predicted: over snr for the noise, over snr + 1 for the velocity.
 */
export function lossWeight({ schedule, prediction, weighting }: Objective, time: number): number {
  if (weighting === "even") return 1;
  const { signal, noise } = levelAt(schedule, time);
  const snr = (signal / noise) ** 2;
  return Math.min(snr, weighting.minSnr) / CLEAN_WEIGHTS[prediction](snr);
}

/** The error of a prediction times this is that of the clean latent, times snr. */
const CLEAN_WEIGHTS: Readonly<Record<PredictionType, (snr: number) => number>> = {
  epsilon: (snr) => snr,
  v_prediction: (snr) => snr + 1,
  sample: () => 1,
};

/** The most negative float32: a key with this bias gets weight 0. */
const LOWEST = -3.4028234663852886e38;

/** What diffusers adds to the scores of masked keys. If all are masked it cancels, and none is. */
const DIFFUSERS_MASKED = -10000;

/**
 * The text side of the inputs, laid out as in inference: a context has one padded row after its last token, and
 * the pooled text averages these rows. No text is, for `diffusers`, zeros for the states and a mask of 0; for
 * `native` the null embedding in row 0, the only row that is looked at. Padding is zeros: before the projection
 * for `diffusers`, after it for `native`.
 */
function conditioning(
  hidden: Tensor<"float32">,
  tokens: readonly number[],
  dropped: readonly boolean[],
  profile: ProfileName,
): Record<string, Tensor<"float32">> {
  const [batch, length, width] = hidden.shape as [number, number, number];
  const states = new Float32Array(hidden.data);
  const bias = new Float32Array(batch * length);
  const kept = new Float32Array(batch * length);
  const nulls = new Float32Array(batch * length);
  const pool = new Float32Array(batch * length);
  tokens.forEach((count, b) => {
    const [start, end] = [b * length, (b + 1) * length];
    const attended = dropped[b] ? (profile === "native" ? 1 : 0) : count;
    const texts = dropped[b] ? 0 : count;
    const rows = Math.min(count + 1, length);
    bias.fill(profile === "native" ? LOWEST : DIFFUSERS_MASKED, start + attended, start + rows);
    // Rows that inference does not have at all.
    bias.fill(LOWEST, start + rows, end);
    pool.fill(1 / rows, start, start + rows);
    kept.fill(1, start, start + texts);
    if (dropped[b]) nulls[start] = 1;
    if (profile === "diffusers") states.fill(0, (start + texts) * width, end * width);
  });
  return {
    encoder_hidden_states: float32(hidden.shape, states),
    mask_bias: float32([batch, 1, 1, length], bias),
    pool_weights: float32([batch, 1, length], pool),
    ...(profile === "native"
      ? { context_mask: float32([batch, length, 1], kept), null_mask: float32([batch, length, 1], nulls) }
      : {}),
  };
}

/** Maps [1,C,H,W] one after the other along the channels. */
function joinChannels(a: Tensor<"float32">, b: Tensor<"float32">): Tensor<"float32"> {
  const data = new Float32Array(a.data.length + b.data.length);
  data.set(a.data);
  data.set(b.data, a.data.length);
  return float32(a.shape.with(1, a.shape[1]! + b.shape[1]!), data);
}
