import { z } from "zod";
import { KandinskyError, nearest } from "../base/mod.ts";
import {
  NOISE_SOURCES,
  type NoiseSourceName,
  PROFILES,
  type ProfileName,
  SAMPLERS,
  type SamplerName,
  type SchedulerConfig,
  SPACINGS,
  type Spacing,
  samplerNamed,
} from "../diffusion/mod.ts";

const whole = z.number().int();
const text = z.union([z.string(), z.array(z.string()).min(1)]);

/** A request to draw pictures from text; what is left out gets the model's or profile's default. */
export const generateRequest = z.strictObject({
  /** One prompt, or several. */
  prompt: text,
  /** What to keep away from: one for all prompts, or one each. */
  negative: text.optional(),
  /** Pixels; multiples of the model's unit (64 for the released models). */
  width: whole.positive().optional(),
  height: whole.positive().optional(),
  /** Pictures per prompt. */
  count: whole.min(1).max(10_000).default(1),
  /** Picture k of the request (all pictures of the first prompt, then of the second) gets `seed` + k. */
  seed: z.union([whole.min(0), z.array(whole.min(0)).min(1)]).optional(),
  steps: whole.min(1).max(1000).optional(),
  /** w in (1 + w) * conditional - w * unconditional: "CFG scale" minus 1. */
  guidance: z.number().min(0).max(100).optional(),
  /** 0 to 1. */
  guidanceRescale: z.number().min(0).max(1).default(0),
  /** Timesteps (0 to 999) between which guidance acts. */
  guidanceInterval: z.tuple([z.number(), z.number()]).optional(),
  sampler: z.enum(Object.keys(SAMPLERS) as [SamplerName, ...SamplerName[]]).optional(),
  spacing: z.enum(SPACINGS).default("uniform"),
  profile: z.enum(Object.keys(PROFILES) as [ProfileName, ...ProfileName[]]).optional(),
  /** Dynamic threshold at this quantile of |x0| instead of the profile's limit. */
  threshold: z.number().gt(0).max(1).optional(),
  /** Hard clip of x0 at this value instead of the profile's limit. */
  clip: z.number().positive().optional(),
  /** Where noise comes from: keyed and equal on every machine, or the stream of PyTorch's CPU generator. */
  rng: z.enum(Object.keys(NOISE_SOURCES) as [NoiseSourceName, ...NoiseSourceName[]]).default("keyed"),
  /** `each`: every prompt keeps its own text length; `joint`: cut and pooled at the longest, as diffusers does. */
  batchText: z.enum(["each", "joint"]).default("each"),
});

/** As a caller writes it. */
export type GenerateRequest = z.input<typeof generateRequest>;

/** One picture to make. */
export interface PictureJob {
  readonly index: number;
  readonly prompt: string;
  readonly negative: string | undefined;
  readonly seed: number;
}

/** A request with every default filled in: drawing it needs no further choice. */
export interface Job {
  readonly pictures: readonly PictureJob[];
  readonly width: number;
  readonly height: number;
  readonly steps: number;
  readonly guidance: number;
  readonly guidanceRescale: number;
  readonly guidanceInterval: readonly [number, number] | undefined;
  readonly sampler: SamplerName;
  readonly spacing: Spacing;
  readonly profile: ProfileName;
  readonly threshold: number | undefined;
  readonly clip: number | undefined;
  readonly rng: NoiseSourceName;
  readonly batchText: "each" | "joint";
}

/** What a model says about defaults. */
export interface ModelDefaults {
  /** Pixels that both sides must be multiples of. */
  readonly unit: number;
  /** Side of a square picture where no size is given. */
  readonly side: number;
  readonly profile: ProfileName;
  readonly scheduler: SchedulerConfig;
}

/**
 * Fills in the defaults and checks sizes and counts.
 * Throws `option_invalid` naming the option, `option_unknown` for a sampler, `size_unit` with the two nearest sizes.
 */
export function resolveRequest(
  request: GenerateRequest,
  model: ModelDefaults,
  randomSeed: () => number,
): Job {
  if (typeof request.sampler === "string") samplerNamed(request.sampler);
  const parsed = generateRequest.safeParse(request);
  if (!parsed.success) throw invalid(parsed.error, request);
  const r = parsed.data;
  const profile = r.profile ?? (r.sampler === "native" || r.sampler === "flash" ? "native" : model.profile);
  const sampler = r.sampler ?? PROFILES[profile].sampler;
  const fixedSteps = (SAMPLERS[sampler] as { readonly fixedSteps?: number }).fixedSteps;
  return {
    pictures: picturesOf(r, randomSeed),
    width: checkSide("width", r.width ?? model.side, model.unit),
    height: checkSide("height", r.height ?? model.side, model.unit),
    steps: fixedSteps ?? r.steps ?? PROFILES[profile].steps,
    // Flash was distilled to need no guidance.
    guidance: sampler === "flash" ? 0 : (r.guidance ?? PROFILES[profile].guidance),
    guidanceRescale: r.guidanceRescale,
    guidanceInterval: r.guidanceInterval,
    sampler,
    spacing: r.spacing,
    profile,
    threshold: r.threshold,
    clip: r.clip,
    rng: r.rng,
    batchText: r.batchText,
  };
}

function picturesOf(r: z.output<typeof generateRequest>, randomSeed: () => number): PictureJob[] {
  const prompts = typeof r.prompt === "string" ? [r.prompt] : r.prompt;
  const negatives = r.negative === undefined || typeof r.negative === "string" ? undefined : r.negative;
  if (negatives !== undefined && negatives.length !== prompts.length) {
    throw new KandinskyError("option_invalid", {
      what: "cannot match negative prompts to prompts",
      where: "negative",
      seen: `${negatives.length}`,
      wanted: `1 or ${prompts.length}`,
    });
  }
  const total = prompts.length * r.count;
  const seeds = Array.isArray(r.seed) ? r.seed : undefined;
  if (seeds !== undefined && seeds.length !== total) {
    throw new KandinskyError("option_invalid", {
      what: "cannot match seeds to pictures",
      where: "seed",
      seen: `${seeds.length}`,
      wanted: `1 or ${total}`,
    });
  }
  const first = typeof r.seed === "number" ? r.seed : randomSeed();
  return Array.from({ length: total }, (_, index) => {
    const which = Math.floor(index / r.count);
    return {
      index,
      prompt: prompts[which]!,
      negative: negatives?.[which] ?? (typeof r.negative === "string" ? r.negative : undefined),
      seed: seeds?.[index] ?? first + index,
    };
  });
}

/** A side in pixels that the model can draw; throws `size_unit` with the nearest two. */
export function checkSide(where: string, side: number, unit: number): number {
  if (side > 0 && side % unit === 0) return side;
  const below = Math.floor(side / unit) * unit;
  const above = below + unit;
  throw new KandinskyError("size_unit", {
    what: "cannot draw this size",
    where,
    seen: `${side}`,
    wanted: `a multiple of ${unit}`,
    hint: below > 0 ? `the nearest are ${below} and ${above}` : `the smallest is ${above}`,
  });
}

function invalid(error: z.ZodError, request: GenerateRequest): KandinskyError {
  const issue = error.issues[0]!;
  const field = String(issue.path[0] ?? "");
  const value = (request as Readonly<Record<string, unknown>>)[field];
  const close =
    issue.code === "invalid_value" && typeof value === "string"
      ? nearest(value, issue.values.map(String))
      : undefined;
  return new KandinskyError(issue.code === "invalid_value" ? "option_unknown" : "option_invalid", {
    what: "cannot use this value",
    ...(field === "" ? {} : { where: field, seen: JSON.stringify(value) }),
    wanted: wordIssue(issue),
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}

/** What a field should have been, in words. */
function wordIssue(issue: z.core.$ZodIssue): string {
  if (issue.code === "too_small") return `${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
  if (issue.code === "too_big") return `${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
  if (issue.code === "invalid_value") return issue.values.join(", ");
  if (issue.code === "invalid_type") {
    return issue.expected === "int" ? "a whole number" : `a ${issue.expected}`;
  }
  const alternative = issue.code === "invalid_union" ? issue.errors[0]?.[0] : undefined;
  return alternative === undefined ? issue.message : wordIssue(alternative);
}
