import type { SchedulerConfig } from "./config.ts";
import { dynamicThreshold, type Limiter, limiterOf } from "./limit.ts";
import type { SamplerName } from "./samplers/table.ts";

/** The habits of one of the two implementations of Kandinsky 3, as far as sampling goes. */
export interface Profile {
  readonly sampler: SamplerName;
  readonly steps: number;
  /** Weight w of (1 + w) * conditional - w * unconditional. */
  readonly guidance: number;
  /** Whether a weight means guidance; if not, the unconditional half is left out. */
  readonly guides: (weight: number) => boolean;
  readonly limit: (config: SchedulerConfig) => Limiter;
}

/** Sources: Kandinsky-3 `t2i_pipeline.py`; diffusers 0.42 `pipeline_kandinsky3.py`. */
export const PROFILES = {
  native: {
    sampler: "native",
    steps: 50,
    guidance: 3,
    guides: (weight) => weight !== 0,
    limit: () => dynamicThreshold(0.99),
  },
  diffusers: {
    sampler: "ddpm",
    steps: 25,
    guidance: 3,
    guides: (weight) => weight > 1,
    limit: limiterOf,
  },
} as const satisfies Record<string, Profile>;

/** The name of a profile. */
export type ProfileName = keyof typeof PROFILES;
