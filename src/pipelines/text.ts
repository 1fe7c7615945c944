import type { ProfileName } from "../diffusion/mod.ts";
import { type Tensor, tensor } from "../tensor/mod.ts";
import type { Tokenizer } from "../tokenizer/mod.ts";

/** Tokens of a prompt that Kandinsky 3 reads at most, the end token included. */
export const MAX_TOKENS = 128;

/** Text lengths are rounded up to a multiple of this, so that few graphs serve all prompts. */
const LENGTH_STEP = 32;

/** One text as the encoder gets it. Rows past `ids` are padding. */
export interface TextRow {
  readonly ids: readonly number[];
  /** Rows that attention may look at, from the first; for a native negative text not those of its own ids. */
  readonly attended: number;
}

/** How one half (conditional or unconditional) of one picture is conditioned. */
export interface Conditioning {
  /** Index into the encoded rows; absent for the unconditional half without a negative text. */
  readonly row: number | undefined;
  /** Rows of the context that exist: the pooled text averages them. */
  readonly length: number;
  /** Rows that attention may look at. */
  readonly attended: number;
}

/** All texts of a batch: what the encoder reads, and how each half of each picture uses it. */
export interface TextPlan {
  readonly rows: readonly TextRow[];
  readonly conditional: readonly Conditioning[];
  /** Empty where guidance is off. */
  readonly unconditional: readonly Conditioning[];
  /** Rows that every tensor of the batch is padded to. */
  readonly paddedLength: number;
}

/** The prompts of one picture. */
export interface PicturePrompts {
  readonly prompt: string;
  readonly negative?: string | undefined;
}

const END = 1;

/**
 * Lays out the texts of a batch. A context keeps one padded row after its last token (none at 128 tokens);
 * `joint` gives all the length of the longest, as diffusers does. Negative texts follow the profile:
 * diffusers encodes them alone and cuts their context to the positive's length; native cuts their ids to
 * the positive's count, ends them with the end token and lends them the positive's mask.
 */
export function planText(
  tokenizer: Tokenizer,
  pictures: readonly PicturePrompts[],
  options: { readonly profile: ProfileName; readonly guided: boolean; readonly joint: boolean },
): TextPlan {
  const rows: TextRow[] = [];
  const known = new Map<string, number>();
  const addRow = (row: TextRow) => {
    const key = `${row.attended}:${row.ids}`;
    const at = known.get(key) ?? rows.push(row) - 1;
    known.set(key, at);
    return at;
  };
  const positives = pictures.map(({ prompt }) => tokenizer.encode(prompt, MAX_TOKENS).ids);
  const own = positives.map((ids) => Math.min(ids.length + 1, MAX_TOKENS));
  const longest = Math.max(...own);
  const conditional = positives.map((ids, i) => ({
    row: addRow({ ids, attended: ids.length }),
    length: options.joint ? longest : own[i]!,
    attended: ids.length,
  }));
  const unconditional = options.guided
    ? pictures.map(({ negative }, i) => {
        const { length, attended } = conditional[i]!;
        if (negative === undefined) return { row: undefined, length, attended: 0 };
        const ids = tokenizer.encode(negative, MAX_TOKENS).ids;
        if (options.profile === "diffusers") {
          return {
            row: addRow({ ids, attended: ids.length }),
            length,
            attended: Math.min(ids.length, length),
          };
        }
        const cut = ids.slice(0, attended);
        return { row: addRow({ ids: [...cut.slice(0, -1), END], attended }), length, attended };
      })
    : [];
  const needed = Math.max(longest, ...rows.map((row) => Math.max(row.ids.length, row.attended)));
  const paddedLength = Math.min(MAX_TOKENS, Math.ceil(needed / LENGTH_STEP) * LENGTH_STEP);
  return { rows, conditional, unconditional, paddedLength };
}

/** Ids [N,L] int64, padded with zeros, and the additive mask [N,1,1,L] of the encoder. */
export function encoderInputs({ rows, paddedLength: length }: TextPlan): {
  readonly ids: Tensor<"int64">;
  readonly maskBias: Tensor<"float32">;
} {
  const ids = new BigInt64Array(rows.length * length);
  const bias = new Float32Array(rows.length * length);
  rows.forEach((row, n) => {
    row.ids.forEach((id, i) => {
      ids[n * length + i] = BigInt(id);
    });
    bias.fill(LOWEST, n * length + row.attended, (n + 1) * length);
  });
  return {
    ids: tensor("int64", [rows.length, length], ids),
    maskBias: tensor("float32", [rows.length, 1, 1, length], bias),
  };
}

/** The most negative float32: a key with this bias gets weight 0, unless all keys have it. */
const LOWEST = -3.4028234663852886e38;

/** What diffusers adds to the scores of masked keys. If all are masked it cancels, and none is. */
const DIFFUSERS_MASKED = -10000;

/** Additive mask [B,1,1,L] and averaging weights [B,1,L] of the U-Net, one row a half of a picture. */
export function unetMasks(
  halves: readonly Conditioning[],
  length: number,
  profile: ProfileName,
): { readonly maskBias: Tensor<"float32">; readonly poolWeights: Tensor<"float32"> } {
  const bias = new Float32Array(halves.length * length);
  const pool = new Float32Array(halves.length * length);
  const masked = profile === "diffusers" ? DIFFUSERS_MASKED : LOWEST;
  halves.forEach((half, b) => {
    const attended = half.row === undefined && profile === "native" ? 1 : half.attended;
    bias.fill(masked, b * length + attended, b * length + half.length);
    // Rows that the original does not have at all.
    bias.fill(LOWEST, b * length + half.length, (b + 1) * length);
    pool.fill(1 / half.length, b * length, b * length + half.length);
  });
  return {
    maskBias: tensor("float32", [halves.length, 1, 1, length], bias),
    poolWeights: tensor("float32", [halves.length, 1, length], pool),
  };
}

/**
 * Encoder states [B,L,D] of each half as the text projection gets them. diffusers sets padded rows to zero
 * before the projection; no text at all is zeros everywhere.
 */
export function projectionInput(
  hidden: Tensor<"float32">,
  halves: readonly Conditioning[],
  rows: readonly TextRow[],
  profile: ProfileName,
): Tensor<"float32"> {
  const [, length, width] = hidden.shape as [number, number, number];
  const size = length * width;
  const data = new Float32Array(halves.length * size);
  halves.forEach(({ row }, b) => {
    if (row === undefined) return;
    const kept = profile === "diffusers" ? rows[row]!.attended : length;
    data.set(hidden.data.subarray(row * size, row * size + kept * width), b * size);
  });
  return tensor("float32", [halves.length, length, width], data);
}

/**
 * The context [B,L,C] that the U-Net gets: native sets padded rows to zero after the projection, and no
 * text is the learned null embedding in row 0. diffusers leaves the projection as it is.
 */
export function finishContext(
  projected: Tensor<"float32">,
  halves: readonly Conditioning[],
  profile: ProfileName,
  nullEmbedding: Float32Array | undefined,
): Tensor<"float32"> {
  if (profile === "diffusers") return projected;
  const [, length, width] = projected.shape as [number, number, number];
  const data = new Float32Array(projected.data);
  halves.forEach(({ row, attended }, b) => {
    const start = b * length * width;
    data.fill(0, start + (row === undefined ? 0 : attended) * width, start + length * width);
    if (row === undefined && nullEmbedding !== undefined) data.set(nullEmbedding, start);
  });
  return tensor("float32", projected.shape, data);
}
