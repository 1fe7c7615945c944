export { combine, type Latent, type Term } from "./arithmetic.ts";
export {
  type PredictionType,
  parseSchedulerConfig,
  type SchedulerConfig,
  type TimestepSpacing,
} from "./config.ts";
export {
  type Denoised,
  type Denoiser,
  type DenoiserSettings,
  denoiserOf,
  type Evaluation,
  type Network,
} from "./denoiser.ts";
export { type Guidance, guide, guidesAt } from "./guidance.ts";
export { evaluationTimes, karrasLevels, type Ladder, SPACINGS, type Spacing } from "./ladder.ts";
export { dynamicThreshold, hardClip, type Limiter, limiterOf, unlimited } from "./limit.ts";
export { NOISE_SOURCES, type NoiseSource, type NoiseSourceName } from "./noise.ts";
export { predictedEps, predictedX0, predictionTarget } from "./prediction.ts";
export { PROFILES, type Profile, type ProfileName } from "./profiles.ts";
export {
  type RunSampler,
  type SamplerState,
  type Step,
  type StepNoise,
  stateAfter,
} from "./samplers/driver.ts";
export { type Posterior, posterior } from "./samplers/posterior.ts";
export { planLadder, SAMPLERS, type Sampler, type SamplerName, samplerNamed } from "./samplers/table.ts";
export {
  addNoise,
  CLEAN,
  cosineSchedule,
  kandinsky22Schedule,
  levelAt,
  linearSchedule,
  type NoiseLevel,
  type Schedule,
  scaledLinearSchedule,
  scheduleOf,
  strengthFromEqualSnr,
} from "./schedule.ts";
export { FLASH_TIMES, firstStepForStrength, gridTimes, nativeTimes } from "./timesteps.ts";
