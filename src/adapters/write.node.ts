import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type NamedTensor, writeSafetensors } from "../checkpoint/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import type { LoraNaming, LoraRole } from "./names.ts";

/** The two weights of one changed layer. */
export interface LoraWeights {
  /** The layer by its name in the diffusers layout. */
  readonly module: string;
  /** [r,in...]. */
  readonly down: Tensor;
  /** [out,r] with an axis of one for each further axis of `down`. */
  readonly up: Tensor;
}

/** A trained LoRA. */
export interface NewLora {
  readonly layers: readonly LoraWeights[];
  readonly rank: number;
  readonly alpha: number;
  /** Name of the model that it was trained on. */
  readonly base: string;
}

/** How one naming is written. */
interface Form {
  /** The file in the LoRA's folder. */
  readonly file: string;
  readonly nameOf: (role: LoraRole, module: string) => string;
  readonly metadata: (lora: NewLora) => Readonly<Record<string, string>>;
  /** Whether each layer's alpha is a tensor. */
  readonly alphas: boolean;
  /** A second file, where the naming has its settings outside. */
  readonly beside?: { readonly file: string; readonly text: (lora: NewLora) => string };
}

type Half = Readonly<Record<"down" | "up", string>>;
const PEFT_HALVES: Half = { down: "lora_A", up: "lora_B" };
const KOHYA_HALVES: Half = { down: "lora_down", up: "lora_up" };

/** File names are those that diffusers and peft look for. */
const FORMS = {
  diffusers: {
    file: "pytorch_lora_weights.safetensors",
    nameOf: (role, module) => `unet.${module}.${PEFT_HALVES[role as keyof Half]}.weight`,
    metadata: (lora) => ({
      format: "pt",
      lora_adapter_metadata: JSON.stringify(
        Object.fromEntries(Object.entries(settingsOf(lora)).map(([key, value]) => [`unet.${key}`, value])),
      ),
    }),
    alphas: false,
  },
  peft: {
    file: "peft/adapter_model.safetensors",
    nameOf: (role, module) => `base_model.model.${module}.${PEFT_HALVES[role as keyof Half]}.weight`,
    metadata: () => ({ format: "pt" }),
    alphas: false,
    beside: {
      file: "peft/adapter_config.json",
      text: (lora) => {
        const about = {
          base_model_name_or_path: lora.base,
          ...settingsOf(lora),
          fan_in_fan_out: false,
          inference_mode: true,
          init_lora_weights: true,
          peft_type: "LORA",
          task_type: null,
          use_dora: false,
          use_rslora: false,
        };
        return `${JSON.stringify(about, undefined, 2)}\n`;
      },
    },
  },
  kohya: {
    file: "kohya.safetensors",
    nameOf: (role, module) => {
      const flat = `lora_unet_${module.replaceAll(".", "_")}`;
      return role === "alpha" ? `${flat}.alpha` : `${flat}.${KOHYA_HALVES[role]}.weight`;
    },
    metadata: ({ rank, alpha }) => ({
      format: "pt",
      ss_network_module: "networks.lora",
      ss_network_dim: `${rank}`,
      ss_network_alpha: `${alpha}`,
    }),
    alphas: true,
  },
} satisfies Readonly<Partial<Record<LoraNaming, Form>>>;

/** The files of a trained LoRA in its folder, by naming. */
export const LORA_FILES: Readonly<Record<keyof typeof FORMS, string>> = {
  diffusers: FORMS.diffusers.file,
  peft: FORMS.peft.file,
  kohya: FORMS.kohya.file,
};

/** What peft, and diffusers with it, keep about a LoRA. */
function settingsOf({ layers, rank, alpha }: NewLora) {
  return {
    bias: "none",
    lora_alpha: alpha,
    lora_dropout: 0,
    r: rank,
    target_modules: layers.map(({ module }) => module),
  };
}

/** Writes a LoRA into a folder in every naming, each with all values as they are given. Throws as `writeSafetensors`. */
export async function writeLora(folder: string, lora: NewLora): Promise<void> {
  for (const form of Object.values<Form>(FORMS)) {
    const path = join(folder, form.file);
    await mkdir(dirname(path), { recursive: true });
    await writeSafetensors(path, tensorsOf(form, lora), form.metadata(lora));
    if (form.beside !== undefined) await writeFile(join(folder, form.beside.file), form.beside.text(lora));
  }
}

function tensorsOf({ nameOf, alphas }: Form, { layers, alpha }: NewLora): NamedTensor[] {
  return layers.flatMap(({ module, down, up }) => [
    { name: nameOf("down", module), tensor: down },
    { name: nameOf("up", module), tensor: up },
    ...(alphas ? [{ name: nameOf("alpha", module), tensor: float32([], [alpha]) }] : []),
  ]);
}
