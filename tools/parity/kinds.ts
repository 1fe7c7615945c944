import { CHECKPOINTS_FILE, checkpoints } from "./checkpoints.ts";
import type { Context } from "./context.ts";
import { LORA_FILE, lora } from "./lora.ts";
import { MOVQ_FILE, movq } from "./movq.ts";
import { MOVQ_GRAD_FILE, movqGrad } from "./movq-grad.ts";
import { PIPELINES_INDEX, pipelineIndex, pipelines } from "./pipelines.ts";
import { RNG_FILE, rng } from "./rng.ts";
import { SCHEDULE_FILE, schedule } from "./schedule.ts";
import { SEEDED_FILE, seeded } from "./seeded.ts";
import { TEXT_ENCODER_FILE, textEncoder } from "./text-encoder.ts";
import { TOKENIZER_FILE, tokenizer } from "./tokenizer.ts";
import { UNET_FILE, unet } from "./unet.ts";
import { UNET_GRAD_FILE, unetGrad } from "./unet-grad.ts";

/** One kind of case. */
export interface Kind {
  readonly name: string;
  /** The kind is run where the folder has this file. */
  readonly file: string;
  /** Files that belong to it. */
  readonly owns: RegExp;
  readonly run: (context: Context) => Promise<void>;
}

/** All kinds, in the order in which they are run: what others are made of comes first. */
export const KINDS: readonly Kind[] = [
  { name: "tokenizer", file: TOKENIZER_FILE, owns: /^tokenizer-cases\.json$/, run: tokenizer },
  { name: "rng", file: RNG_FILE, owns: /^rng\.(json|safetensors)$/, run: rng },
  { name: "schedule", file: SCHEDULE_FILE, owns: /^schedule\.(json|safetensors)$/, run: schedule },
  {
    name: "text-encoder",
    file: TEXT_ENCODER_FILE,
    owns: /^text-encoder\.(json|safetensors)$/,
    run: textEncoder,
  },
  { name: "unet", file: UNET_FILE, owns: /^unet\.(json|safetensors)$/, run: unet },
  { name: "unet-grad", file: UNET_GRAD_FILE, owns: /^unet-grad\.(json|safetensors)$/, run: unetGrad },
  { name: "movq", file: MOVQ_FILE, owns: /^movq\.(json|safetensors)$/, run: movq },
  { name: "movq-grad", file: MOVQ_GRAD_FILE, owns: /^movq-grad\.safetensors$/, run: movqGrad },
  { name: "pipelines", file: PIPELINES_INDEX, owns: /^pipelines\/index\.json$/, run: pipelines },
  { name: "seeded", file: SEEDED_FILE, owns: /^seeded\//, run: seeded },
  { name: "lora", file: LORA_FILE, owns: /^lora\//, run: lora },
  { name: "checkpoints", file: CHECKPOINTS_FILE, owns: /^checkpoints\//, run: checkpoints },
];

/** Files that hold no cases: tables and inputs of kinds above, and what the project's own unit tests read. */
export const SUPPORT: readonly RegExp[] = [
  /^manifest\.json$/,
  /^native\//,
  /^(ops|samplers)\.(json|safetensors)$/,
  /^(motion|scenes)\//,
];

/** Whether a file of `pipelines/` belongs to a case of its index. */
export async function pipelineOwner(folder: string): Promise<(file: string) => boolean> {
  const index = await pipelineIndex(folder);
  const text = JSON.stringify(Object.values(index));
  return (file) => {
    const name = file.replace(/^pipelines\//, "");
    const stem = name.replace(/(\.\d+)?\.(safetensors|png)$/, "");
    return Object.hasOwn(index, stem) || (name.endsWith(".png") && text.includes(name));
  };
}
