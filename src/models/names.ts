/**
 * One row of a table of names: how the original writes a name, and how diffusers does. `{i}` is a number, `{i+1}`
 * the next, `{top-i}` counts from the highest level down; `*` is the rest, which the inner table renames where
 * there is one. Read from left to right or from right to left, a table gives one name for one name.
 */
export interface NameRow {
  readonly native: string;
  readonly diffusers: string;
  readonly inner?: readonly NameRow[];
}

/** Rows with one text for what stays as it is. */
function rows(...pairs: readonly (readonly [native: string, diffusers: string])[]): NameRow[] {
  return pairs.map(([native, diffusers]) => ({ native, diffusers }));
}

const REST: readonly NameRow[] = rows(["*", "*"]);

const UNET_ATTENTION: readonly NameRow[] = [
  ...rows(
    ["attention.to_query.*", "attention.to_q.*"],
    ["attention.to_key.*", "attention.to_k.*"],
    ["attention.to_value.*", "attention.to_v.*"],
    ["attention.output_layer.*", "attention.to_out.0.*"],
  ),
  ...REST,
];

const level = (native: string, diffusers: string): NameRow[] => [
  {
    native: `${native}.{i}.self_attention_block.*`,
    diffusers: `${diffusers}.{i}.attentions.0.*`,
    inner: UNET_ATTENTION,
  },
  ...rows(
    [`${native}.{i}.resnet_attn_blocks.{j}.0.*`, `${diffusers}.{i}.resnets_in.{j}.*`],
    [`${native}.{i}.resnet_attn_blocks.{j}.2.*`, `${diffusers}.{i}.resnets_out.{j}.*`],
  ),
  {
    native: `${native}.{i}.resnet_attn_blocks.{j}.1.*`,
    diffusers: `${diffusers}.{i}.attentions.{j+1}.*`,
    inner: UNET_ATTENTION,
  },
];

/** The U-Net: names in `kandinsky3.pt` below "unet". */
export const UNET_NAMES: readonly NameRow[] = [
  ...rows(
    ["to_time_embed.1.*", "time_embedding.linear_1.*"],
    ["to_time_embed.3.*", "time_embedding.linear_2.*"],
    ["in_layer.*", "conv_in.*"],
    ["out_layer.0.*", "conv_norm_out.*"],
    ["out_layer.2.*", "conv_out.*"],
  ),
  { native: "feature_pooling.*", diffusers: "add_time_condition.*", inner: UNET_ATTENTION.slice(0, -1) },
  ...level("down_samples", "down_blocks"),
  ...level("up_samples", "up_blocks"),
];

/** The text projection, in the original a file of its own, in diffusers a part of the U-Net. */
export const PROJECTION_NAMES: readonly NameRow[] = rows(
  ["0.*", "encoder_hid_proj.projection_linear.*"],
  ["1.*", "encoder_hid_proj.projection_norm.*"],
);

/** What differs inside MoVQ's blocks: plain norms lose their wrapper, spatial norms keep it. */
const movqBlock = (spatial: boolean): NameRow[] => [
  ...(spatial ? [] : rows(["norm{k}.norm_layer.*", "norm{k}.*"])),
  ...rows(["nin_shortcut.*", "conv_shortcut.*"]),
  ...REST,
];

const movqAttention = (spatial: boolean): NameRow[] =>
  rows(
    spatial ? ["norm.*", "spatial_norm.*"] : ["norm.norm_layer.*", "group_norm.*"],
    ["q.*", "to_q.*"],
    ["k.*", "to_k.*"],
    ["v.*", "to_v.*"],
    ["proj_out.*", "to_out.0.*"],
  );

const movqSide = (side: "encoder" | "decoder"): NameRow[] => {
  const spatial = side === "decoder";
  const [native, diffusers, resize, resizer] = spatial
    ? [`${side}.up.{top-i}`, `${side}.up_blocks.{i}`, "upsample", "upsamplers.0"]
    : [`${side}.down.{i}`, `${side}.down_blocks.{i}`, "downsample", "downsamplers.0"];
  const mid = `${side}.mid_block`;
  const block = movqBlock(spatial);
  const attention = movqAttention(spatial);
  return [
    { native: `${native}.block.{j}.*`, diffusers: `${diffusers}.resnets.{j}.*`, inner: block },
    { native: `${native}.attn.{j}.*`, diffusers: `${diffusers}.attentions.{j}.*`, inner: attention },
    { native: `${side}.mid.block_{j+1}.*`, diffusers: `${mid}.resnets.{j}.*`, inner: block },
    { native: `${side}.mid.attn_{j+1}.*`, diffusers: `${mid}.attentions.{j}.*`, inner: attention },
    ...rows(
      [`${native}.${resize}.*`, `${diffusers}.${resizer}.*`],
      [`${side}.conv_in.*`, `${side}.conv_in.*`],
      [`${side}.norm_out.${spatial ? "" : "norm_layer."}*`, `${side}.conv_norm_out.*`],
      [`${side}.conv_out.*`, `${side}.conv_out.*`],
    ),
  ];
};

/** MoVQ: names in `movq.pt`. */
export const MOVQ_NAMES: readonly NameRow[] = [
  ...movqSide("encoder"),
  ...movqSide("decoder"),
  ...rows(
    ["quant_conv.*", "quant_conv.*"],
    ["post_quant_conv.*", "post_quant_conv.*"],
    ["quantize.*", "quantize.*"],
  ),
];

/**
 * The same name as the other side writes it; undefined where no row has it. `top` is the index of the highest
 * level, which only names of the MoVQ decoder need.
 */
export function renamed(
  name: string,
  table: readonly NameRow[],
  to: "native" | "diffusers",
  top: number,
): string | undefined {
  const from = to === "native" ? "diffusers" : "native";
  for (const row of table) {
    const values = matched(name, row[from], top);
    if (values === undefined) continue;
    const rest = values.get("*")!;
    const inner = row.inner === undefined ? String(rest) : renamed(String(rest), row.inner, to, top);
    if (inner !== undefined) return filled(row[to], values, inner, top);
  }
  return undefined;
}

const PLACE = /\{(?:(top)-)?(\w)(\+1)?\}/g;

/** What stands at the places of a pattern, and the rest at "*"; undefined where the name does not fit. */
function matched(name: string, pattern: string, top: number): Map<string, number | string> | undefined {
  const places = [...pattern.matchAll(PLACE)];
  const source = pattern
    .replace(PLACE, "#")
    .replaceAll(".", "\\.")
    .replaceAll("#", "(\\d+)")
    .replace("*", "(.+)");
  const found = new RegExp(`^${source}$`).exec(name);
  if (found === null) return undefined;
  const values = new Map<string, number | string>([["*", found.at(-1)!]]);
  for (const [at, [, isFromTop, key, isNext]] of places.entries()) {
    const written = Number(found[at + 1]);
    const value = isFromTop !== undefined ? top - written : isNext !== undefined ? written - 1 : written;
    if (value < 0) return undefined;
    values.set(key!, value);
  }
  return values;
}

function filled(pattern: string, values: ReadonlyMap<string, number | string>, rest: string, top: number) {
  return pattern
    .replace(PLACE, (_, isFromTop: string | undefined, key: string, isNext: string | undefined) => {
      const value = Number(values.get(key));
      return String(isFromTop !== undefined ? top - value : isNext !== undefined ? value + 1 : value);
    })
    .replace("*", () => rest);
}
