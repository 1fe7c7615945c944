import { KandinskyError } from "../base/mod.ts";
import { MOTION_FIELDS, type MotionField } from "./fields.ts";
import { type PromptKey, parsePrompts } from "./prompts.ts";
import type { MotionRequest } from "./request.ts";

/** What a settings file of Deforum asks for, in our words. */
export interface DeforumSettings {
  readonly motion: MotionRequest;
  readonly prompts: readonly PromptKey[] | undefined;
  readonly width: number | undefined;
  readonly height: number | undefined;
  readonly seed: number | undefined;
  readonly steps: number | undefined;
  /** As the file has it: "CFG scale", one more than our guidance. */
  readonly scale: number | undefined;
  /** Keys of Deforum that have no meaning here. */
  readonly unused: readonly string[];
  /** Keys that Deforum does not have either. */
  readonly unknown: readonly string[];
}

/** Where each key of Deforum goes: the name of ours, or the value that the key's value means. */
const SIMPLE = {
  max_frames: "frames",
  fps: "frameRate",
  noise_schedule: "noise",
  strength_schedule: "strength",
  contrast_schedule: "contrast",
  amount_schedule: "amount",
  kernel_schedule: "kernel",
  sigma_schedule: "sigma",
  threshold_schedule: "threshold",
  diffusion_cadence: "cadence",
  seed_behavior: "seedBehavior",
} as const satisfies Readonly<Record<string, keyof MotionRequest>>;

const BORDER_OF: Readonly<Record<string, MotionRequest["border"]>> = {
  replicate: "replicate",
  wrap: "wrap",
  border: "replicate",
  reflection: "reflect",
};

const COHERENCE_OF: Readonly<Record<string, MotionRequest["coherence"]>> = {
  None: "none",
  "Match Frame 0 HSV": "hsv",
  "Match Frame 0 LAB": "lab",
  "Match Frame 0 RGB": "rgb",
  HSV: "hsv",
  LAB: "lab",
  RGB: "rgb",
};

const BLEND_OF: Readonly<Record<string, MotionRequest["blend"]>> = {
  None: "linear",
  RAFT: "flow",
  "DIS Medium": "flow",
  "DIS Fine": "flow",
  Farneback: "flow",
};

/** Keys whose presence tells the settings of classic Deforum, where strength is what is kept. */
const CLASSIC = ["sd_model_name", "sd_model_hash", "deforum_git_commit_id", "model_checkpoint"];

/** Keys that are read outside of the tables above. */
const READ = [
  ...["W", "H", "seed", "steps", "scale", "animation_mode", "border", "padding_mode", "color_coherence"],
  ...[
    "optical_flow_cadence",
    "prompts",
    "animation_prompts",
    "negative_prompts",
    "positive_prompts",
    "fov",
    "fv",
  ],
];

/** Beginnings of keys that Deforum has and that say nothing to this program. */
const KNOWN =
  /^(sd_|deforum_|model_|sampler|save_|batch_|hybrid_|midas_|use_|init_|mask_|overlay_|parseq_|controlnet_|cn_|video_|interpolate|frame_interpolation|r_upscale|make_gif|render_|output_|path_|image_|mp4_|skip_|log_|enable_|checkpoint_|clipskip_|noise_(type|w|h|perlin|octaves|multiplier)|perlin_|near_|far_|depth_|aspect_ratio|sampling_mode|cadence_|optical_flow_redo|redo_|diffusion_redo|reroll_|reallybigname|filename_format|dynamic_threshold|static_threshold|mean_|ddim_|eta_|pix2pix_|invert_|full_res|inpaint|fill|n_batch|n_samples|precision|prompt_weighting|normalize_prompt|timestring|seed_(resize|iter|schedule|enable)|subseed|tiling|restore_faces|resume_|extract_|keep_|3d_|gif_|color_(corr|force)|legacy_|transform_center|shakify|shake_|soundtrack|add_soundtrack|fps_|motion_preview|store_frames|cfg_scale|distilled|steps_schedule|flip_2d_perspective|prior_|bitdepth|karras|display_samples|show_|strength$|strength_0|noise_mask|composable|prompts_path|negative_prompts_path|colormatch_|contrastcorrect|lambda|guided_)/;

/** Reads a settings file. Throws `file_corrupt` where it is no JSON object, `option_invalid` for a value. */
export function readDeforumSettings(text: string, where: string): DeforumSettings {
  const file = objectOf(text, where);
  const motion: Record<string, unknown> = {};
  const schedules: Record<string, unknown> = {};
  const unused: string[] = [];
  const unknown: string[] = [];
  const fields = Object.entries(MOTION_FIELDS) as [MotionField, { deforum: string }][];
  for (const [key, value] of Object.entries(file)) {
    const field = fields.find(([, { deforum }]) => deforum === key)?.[0];
    if (field !== undefined) schedules[field] = value;
    else if (Object.hasOwn(SIMPLE, key)) motion[SIMPLE[key as keyof typeof SIMPLE]] = value;
    else if (!READ.includes(key)) (KNOWN.test(key) || CLASSIC.includes(key) ? unused : unknown).push(key);
  }
  const mode = file["animation_mode"];
  if (mode === "2D" || mode === "3D") motion["mode"] = mode;
  else if (mode !== undefined && mode !== "None") {
    throw invalid(where, "animation_mode", mode, "2D or 3D");
  }
  const border = file["border"] ?? file["padding_mode"];
  const named = <T>(key: string, value: unknown, table: Readonly<Record<string, T>>) => {
    if (value === undefined) return;
    const found = typeof value === "string" && Object.hasOwn(table, value) ? table[value] : undefined;
    if (found === undefined) throw invalid(where, key, value, Object.keys(table).join(", "));
    return found;
  };
  Object.assign(motion, {
    ...optional("border", named("border", border, BORDER_OF)),
    ...optional("coherence", named("color_coherence", file["color_coherence"], COHERENCE_OF)),
    ...optional("blend", named("optical_flow_cadence", file["optical_flow_cadence"], BLEND_OF)),
    ...(CLASSIC.some((key) => Object.hasOwn(file, key)) ? { strengthMeans: "kept" } : {}),
  });
  if (typeof file["fov"] === "number") schedules["fieldOfView"] ??= file["fov"];
  if (typeof file["fv"] === "number") schedules["flipFieldOfView"] ??= file["fv"];
  return {
    motion: { ...motion, motion: schedules } as MotionRequest,
    prompts: promptsOf(file, where),
    width: numberOf(file, "W", where),
    height: numberOf(file, "H", where),
    seed: numberOf(file, "seed", where),
    steps: numberOf(file, "steps", where),
    scale: numberOf(file, "scale", where),
    unused,
    unknown,
  };
}

function promptsOf(file: Readonly<Record<string, unknown>>, where: string): PromptKey[] | undefined {
  const prompts = file["prompts"] ?? file["animation_prompts"];
  if (prompts === undefined) return undefined;
  const negative = file["negative_prompts"];
  const common = typeof negative === "string" && negative !== "" ? negative : undefined;
  if (typeof prompts === "string") return parsePrompts(prompts, common);
  if (typeof prompts !== "object" || prompts === null) {
    throw invalid(where, "prompts", prompts, "an object of prompts by frame");
  }
  return parsePrompts(
    Object.entries(prompts).map(([frame, prompt]) => [frame, String(prompt)] as const),
    common,
  );
}

function numberOf(file: Readonly<Record<string, unknown>>, key: string, where: string): number | undefined {
  const value = file[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "number") throw invalid(where, key, value, "a number");
  return value;
}

function optional<T>(key: string, value: T | undefined): Record<string, T> {
  return value === undefined ? {} : { [key]: value };
}

function objectOf(text: string, where: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Record<string, unknown>;
  } catch (cause) {
    throw new KandinskyError("file_corrupt", notJson(where), { cause });
  }
  throw new KandinskyError("file_corrupt", notJson(where));
}

function notJson(where: string) {
  return { what: "cannot read the settings", where, wanted: "a JSON object, as Deforum saves its settings" };
}

function invalid(where: string, key: string, seen: unknown, wanted: string): KandinskyError {
  return new KandinskyError("option_invalid", {
    what: "the settings have a value that cannot be used",
    where: `${where}, ${key}`,
    seen: JSON.stringify(seen),
    wanted,
  });
}
