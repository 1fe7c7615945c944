import { combine, type Latent, perSample, samplesOf } from "./arithmetic.ts";

/** Classifier-free guidance in the terms of Kandinsky 3: weight 3 here is "CFG scale 4" elsewhere. */
export interface Guidance {
  /** w in (1 + w) * conditional - w * unconditional. */
  readonly weight: number;
  /** 0 (off) to 1: how far the contrast is set back to the conditional's (Lin et al. 2023, section 3.4). */
  readonly rescale: number;
  /** Timesteps at which guidance acts, both included (Kynkäänniemi et al. 2024); absent: at all. */
  readonly interval?: { readonly low: number; readonly high: number };
}

/** Whether the unconditional pass is needed at `time`. */
export function guidesAt(guidance: Guidance | undefined, time: number): guidance is Guidance {
  if (guidance === undefined) return false;
  const { interval } = guidance;
  return interval === undefined || (time >= interval.low && time <= interval.high);
}

/** Network outputs of any prediction type joined: [B,C,H,W] each. */
export function guide({ weight, rescale }: Guidance, conditional: Latent, unconditional: Latent): Latent {
  const guided = combine([1 + weight, conditional], [-weight, unconditional]);
  return rescale === 0 ? guided : rescaled(guided, conditional, rescale);
}

function rescaled(guided: Latent, conditional: Latent, strength: number): Latent {
  const wanted = samplesOf(conditional).map(deviation);
  return perSample(guided, (sample, index) => {
    const factor = strength * (wanted[index]! / deviation(sample)) + (1 - strength);
    return sample.map((value) => value * factor);
  });
}

/** Standard deviation over all values of a sample. */
function deviation(sample: Float32Array): number {
  let sum = 0;
  for (const value of sample) sum += value;
  const mean = sum / sample.length;
  let squares = 0;
  for (const value of sample) squares += (value - mean) ** 2;
  return Math.sqrt(squares / sample.length);
}
