import { KandinskyError } from "../base/mod.ts";
import { combine, type Latent } from "./arithmetic.ts";
import type { SchedulerConfig } from "./config.ts";

/** The noise that training added at each timestep index. */
export interface Schedule {
  /** Cumulative product of 1 - beta, [T], falling from near 1 (clean) to near 0 (noise). */
  readonly alphasCumprod: Float32Array;
}

/** One rung of a ladder of noise: x = signal * x0 + noise * eps, with signal^2 + noise^2 = 1. */
export interface NoiseLevel {
  /** Timestep the network is told, 0 to T-1; a fraction between two trained levels, -1 for the clean picture. */
  readonly time: number;
  readonly signal: number;
  readonly noise: number;
}

export const CLEAN: NoiseLevel = { time: -1, signal: 1, noise: 0 };

/** beta_i = min(1 - g((i+1)/T) / g(i/T), 0.999), g(u) = cos^2((u + 0.008) / 1.008 * pi/2) (Nichol and Dhariwal 2021). */
export function cosineSchedule(timesteps = 1000): Schedule {
  const g = (u: number) => Math.cos(((u + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
  return scheduleFromBetas(
    Array.from({ length: timesteps }, (_, i) =>
      Math.min(1 - g((i + 1) / timesteps) / g(i / timesteps), 0.999),
    ),
  );
}

/** Betas evenly from `betaStart` to `betaEnd` (Ho et al. 2020). */
export function linearSchedule(betaStart: number, betaEnd: number, timesteps = 1000): Schedule {
  return scheduleFromBetas(evenly(betaStart, betaEnd, timesteps));
}

/** Square roots of the betas evenly spaced, as latent diffusion has it and diffusers names it "scaled_linear". */
export function scaledLinearSchedule(betaStart: number, betaEnd: number, timesteps = 1000): Schedule {
  return scheduleFromBetas(
    evenly(Math.sqrt(betaStart), Math.sqrt(betaEnd), timesteps).map((root) => root ** 2),
  );
}

/** The schedule of a scheduler file; its own `trained_betas` win. */
export function scheduleOf(config: SchedulerConfig): Schedule {
  if (config.trainedBetas !== null) return scheduleFromBetas(config.trainedBetas);
  return SCHEDULES[config.betaSchedule](config);
}

const SCHEDULES: Record<SchedulerConfig["betaSchedule"], (config: SchedulerConfig) => Schedule> = {
  linear: (c) => linearSchedule(c.betaStart, c.betaEnd, c.trainTimesteps),
  scaled_linear: (c) => scaledLinearSchedule(c.betaStart, c.betaEnd, c.trainTimesteps),
  squaredcos_cap_v2: (c) => cosineSchedule(c.trainTimesteps),
};

// Betas, alphas and products are stored in float32 by both reference implementations; 1 - a near t = 0 keeps only
// three digits of it, so a more precise product would move the last steps away from the trained noise levels.
function scheduleFromBetas(betas: readonly number[]): Schedule {
  const alphasCumprod = new Float32Array(betas.length);
  let product = 1;
  for (const [i, beta] of betas.entries()) {
    product *= Math.fround(1 - Math.fround(beta));
    alphasCumprod[i] = product;
  }
  return { alphasCumprod };
}

function evenly(first: number, last: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + ((last - first) * i) / (count - 1));
}

/** The noise level of a trained timestep; throws `option_invalid` for one outside the schedule. */
export function levelAt(schedule: Schedule, time: number): NoiseLevel {
  const alphaCumprod = schedule.alphasCumprod[time];
  if (alphaCumprod === undefined) {
    throw new KandinskyError("option_invalid", {
      what: "a sampling step lies outside the noise schedule",
      where: "steps",
      seen: `timestep ${time}`,
      wanted: `0 to ${schedule.alphasCumprod.length - 1}`,
      hint: "take fewer steps",
    });
  }
  return { time, signal: Math.sqrt(alphaCumprod), noise: Math.sqrt(1 - alphaCumprod) };
}

/** Noise over signal, as Karras et al. 2022 measure noise; 0 for the clean picture. */
export function sigmaOf(level: NoiseLevel): number {
  return level.noise / level.signal;
}

/** The level with this sigma; its time is interpolated in log sigma between trained timesteps and held at the ends. */
export function levelWithSigma(schedule: Schedule, sigma: number): NoiseLevel {
  const logs = Array.from(schedule.alphasCumprod, logSigma);
  const wanted = Math.log(sigma);
  const above = logs.findIndex((log) => log >= wanted);
  const scale = Math.sqrt(1 + sigma ** 2);
  return { time: timeBetween(logs, wanted, above), signal: 1 / scale, noise: sigma / scale };
}

/** Of a cumulative alpha: the logarithm of noise over signal. */
function logSigma(a: number): number {
  return Math.log((1 - a) / a) / 2;
}

function timeBetween(logs: readonly number[], wanted: number, above: number): number {
  if (above === -1) return logs.length - 1;
  if (above === 0) return 0;
  const low = logs[above - 1]!;
  return above - 1 + (wanted - low) / (logs[above]! - low);
}

/** Forward process: a clean latent with `eps` ~ N(0,1) added up to `level`. Image-to-image enters its ladder so. */
export function addNoise(x0: Latent, eps: Latent, level: NoiseLevel): Latent {
  return combine([level.signal, x0], [level.noise, eps]);
}

/** The decoder of Kandinsky 2.2: betas evenly from 0.00085 to 0.012. */
export function kandinsky22Schedule(): Schedule {
  return linearSchedule(0.00085, 0.012);
}

/**
 * The strength of image-to-image on schedule `to` that keeps as much of the picture as `strength` did on `from`: equal
 * cumulative alphas, hence an equal ratio of signal to noise. A strength is a timestep over the number of timesteps;
 * between trained timesteps the logarithm of that ratio is interpolated. `strength` in [0,1].
 */
export function strengthFromEqualSnr(strength: number, from: Schedule, to: Schedule): number {
  const last = from.alphasCumprod.length - 1;
  const time = Math.min(strength * from.alphasCumprod.length, last);
  const [below, above] = [Math.floor(time), Math.min(Math.floor(time) + 1, last)].map((t) =>
    logSigma(from.alphasCumprod[t]!),
  ) as [number, number];
  const sigma = Math.exp(below + (time - Math.floor(time)) * (above - below));
  return levelWithSigma(to, sigma).time / to.alphasCumprod.length;
}
