/** What one tensor of a LoRA file is. */
export type LoraRole = "down" | "up" | "alpha";

/** How a file names the layers that it changes. */
export type LoraNaming = "diffusers" | "peft" | "kohya" | "comfyui";

/** A tensor's name taken apart. */
export interface LoraKey {
  readonly role: LoraRole;
  readonly naming: LoraNaming;
  /** The layer as the file names it, without the prefix of the naming. */
  readonly module: string;
}

/** Endings of names: today's, diffusers' before peft, kohya's; peft may put the adapter's name in between. */
const ENDINGS: readonly (readonly [LoraRole, RegExp])[] = [
  ["down", /\.(lora_A(\.default)?|lora_down|lora\.down)\.weight$/],
  ["up", /\.(lora_B(\.default)?|lora_up|lora\.up)\.weight$/],
  ["alpha", /\.alpha$/],
];

/** Beginnings of names, the longer ones first. */
const BEGINNINGS: readonly (readonly [LoraNaming, string])[] = [
  ["peft", "base_model.model.unet."],
  ["peft", "base_model.model."],
  ["comfyui", "diffusion_model."],
  ["kohya", "lora_unet_"],
  ["diffusers", "unet."],
];

/** What a tensor's name says; undefined where it belongs to no LoRA of a U-Net. */
export function parseLoraKey(name: string): LoraKey | undefined {
  const ending = ENDINGS.find(([, pattern]) => pattern.test(name));
  const beginning = BEGINNINGS.find(([, prefix]) => name.startsWith(prefix));
  if (ending === undefined || beginning === undefined) return undefined;
  const module = name.slice(beginning[1].length).replace(ending[1], "");
  return { role: ending[0], naming: beginning[0], module };
}

/**
 * From a layer as files name it to the weight that it means. Kohya writes `_` for `.`, which cannot be undone by
 * itself: that map is made from the model's own names.
 */
export function targetOf(
  weights: Iterable<string>,
): (key: Pick<LoraKey, "naming" | "module">) => string | undefined {
  const plain = new Map([...weights].map((weight) => [weight.replace(/\.weight$/, ""), weight]));
  const flat = new Map([...plain].map(([module, weight]) => [module.replaceAll(".", "_"), weight]));
  return ({ naming, module }) => (naming === "kohya" ? flat : plain).get(module);
}
