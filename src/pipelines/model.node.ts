import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";
import {
  bind,
  type ModelFolder,
  openModelFolder,
  readTensorAsFloat32,
  requirePart,
  type WeightPart,
} from "../checkpoint/mod.ts";
import { type ProfileName, parseSchedulerConfig, type SchedulerConfig } from "../diffusion/mod.ts";
import type { PreviewMatrix } from "../image/mod.ts";
import {
  MOVQ_CODEBOOK,
  type MovqConfig,
  movqParameters,
  parseMovqConfig,
  parseT5Config,
  parseUNetConfig,
  type T5Config,
  t5Parameters,
  type UNetConfig,
  unetParameters,
} from "../models/mod.ts";
import { loadTokenizer, type Tokenizer } from "../tokenizer/mod.ts";
import { type LoraChoice, type LoraInfo, withLoras } from "./adapt.node.ts";
import { fingerprintOf } from "./fingerprint.node.ts";
import type { BoundPart } from "./packing.node.ts";
import { refuseSingleFile } from "./single-file.node.ts";
import { parseVocabulary, SUBJECTS_FILE, type SubjectNames } from "./vocabulary.ts";

/** What is known of a model from its small files. */
export interface ModelInfo {
  readonly name: string;
  readonly folder: string;
  /** Tells this model from another of the same name: see `fingerprintOf`. LoRAs leave it as it is. */
  readonly fingerprint: string;
  /** Pixels that both sides must be multiples of. */
  readonly unit: number;
  /** Pixels along one latent cell. */
  readonly cell: number;
  /** Side of the default picture. */
  readonly side: number;
  readonly profile: ProfileName;
  /** Whether the native profile's unconditional text is there. */
  readonly hasNullEmbedding: boolean;
  /** Whether the U-Net was made for inpainting: it sees a mask and the masked picture beside the latent. */
  readonly inpaints: boolean;
  /** What acts on the U-Net. */
  readonly loras: readonly LoraInfo[];
}

/** One network of a model: its configuration, and where its weights lie. */
export interface ModelPart<Config> {
  readonly config: Config;
  readonly part: BoundPart;
}

/** An opened model: configurations, tokenizer, and where every weight lies. */
export interface OpenedModel {
  readonly info: ModelInfo;
  readonly folder: ModelFolder;
  readonly tokenizer: Tokenizer;
  readonly scheduler: SchedulerConfig;
  readonly text: ModelPart<T5Config>;
  readonly unet: ModelPart<UNetConfig>;
  readonly movq: ModelPart<MovqConfig>;
  /** Latent to rough colours, where the folder has one. */
  readonly preview: PreviewMatrix | undefined;
  /** What a small model was taught to draw, where the folder has a list. */
  readonly vocabulary: readonly SubjectNames[] | undefined;
}

/**
 * Opens a model folder in the diffusers layout: reads configurations and headers, binds every weight, reads
 * no values. Throws as `refuseSingleFile`, `openModelFolder`, `bind`, the config parsers and `withLoras` do.
 */
export async function openModel(path: string, loras: readonly LoraChoice[] = []): Promise<OpenedModel> {
  await refuseSingleFile(path);
  const folder = await openModelFolder(path);
  const text = requirePart(folder, "text_encoder");
  const unet = requirePart(folder, "unet");
  const movq = requirePart(folder, "movq");
  const schedule = requirePart(folder, "scheduler");
  const tokenizer = await loadTokenizer(requirePart(folder, "tokenizer").folder);
  const adapted = await withLoras(bindUNet(unet), loras);
  const parts = { text: bindTextEncoder(text), unet: adapted.unet, movq: bindMovq(movq) };
  checkTogether(folder.root, tokenizer, parts);
  const unetConfig = parts.unet.config;
  const movqConfig = parts.movq.config;
  const cell = 2 ** (movqConfig.blockOutChannels.length - 1);
  const unit = cell * 2 ** (unetConfig.blockOutChannels.length - 1);
  return {
    folder,
    tokenizer,
    info: {
      name: folder.name,
      folder: folder.root,
      fingerprint: await fingerprintOf([parts.text, parts.unet, parts.movq].map(({ part }) => part)),
      unit,
      cell,
      side: defaultSide(unetConfig, unit),
      profile: folder.nullEmbedding === undefined ? "diffusers" : "native",
      hasNullEmbedding: folder.nullEmbedding !== undefined,
      inpaints: unetConfig.inChannels > movqConfig.vqEmbedDim,
      loras: adapted.loras,
    },
    scheduler: parseSchedulerConfig(schedule.config, schedule.configFile),
    ...parts,
    preview: await readPreview(folder.root),
    vocabulary: await readVocabulary(folder.root),
  };
}

type Parts = Pick<OpenedModel, "text" | "unet" | "movq">;

/** Sizes that one part hands to the next must agree. Throws `model_config` naming both. */
function checkTogether(where: string, tokenizer: Tokenizer, { text, unet, movq }: Parts): void {
  const latent = movq.config.vqEmbedDim;
  const rules: readonly (readonly [
    name: string,
    seen: number,
    other: string,
    wanted: number,
    fits: boolean,
  ])[] = [
    [
      "tokens of the tokenizer",
      tokenizer.vocabularySize,
      "rows of the text encoder's embedding",
      text.config.vocabSize,
      tokenizer.vocabularySize <= text.config.vocabSize,
    ],
    sameSize(
      "encoder_hid_dim of the U-Net",
      unet.config.encoderHidDim,
      "d_model of the text encoder",
      text.config.dModel,
    ),
    sameSize("output channels of the U-Net", unet.config.outChannels, "latent channels of the MoVQ", latent),
    [
      "input channels of the U-Net",
      unet.config.inChannels,
      "latent channels of the MoVQ (inpainting: twice as many and a mask)",
      latent,
      [latent, 2 * latent + 1].includes(unet.config.inChannels),
    ],
  ];
  for (const [name, seen, other, wanted, fits] of rules) {
    if (fits) continue;
    throw new KandinskyError("model_config", {
      what: "the parts of this model do not fit together",
      where,
      seen: `${seen} ${name}`,
      wanted: `${wanted}, the ${other}`,
    });
  }
}

function sameSize(name: string, seen: number, other: string, wanted: number) {
  return [name, seen, other, wanted, seen === wanted] as const;
}

/** The text encoder of its folder. Throws as `parseT5Config` and `bind` do. */
export function bindTextEncoder(part: WeightPart): ModelPart<T5Config> {
  const config = parseT5Config(part.config, part.configFile);
  const options = { what: "the text encoder", aliases: TIED_EMBEDDING };
  const entries = bind(t5Parameters(config), part, options);
  return { config, part: { name: "text_encoder", folder: part.folder, entries } };
}

/** The U-Net, with the text projection, of its folder. Throws as `parseUNetConfig` and `bind` do. */
export function bindUNet(part: WeightPart): ModelPart<UNetConfig> {
  const config = parseUNetConfig(part.config, part.configFile);
  const entries = bind(unetParameters(config), part, { what: "the U-Net" });
  return { config, part: { name: "unet", folder: part.folder, entries } };
}

/** The autoencoder of its folder. Throws as `parseMovqConfig` and `bind` do. */
export function bindMovq(part: WeightPart): ModelPart<MovqConfig> {
  const config = parseMovqConfig(part.config, part.configFile);
  // Drawing looks no codes up, and the original release has none: a model converted from it does without.
  const wanted = movqParameters(config).filter(
    ({ name }) => name !== MOVQ_CODEBOOK || part.tensors.has(MOVQ_CODEBOOK),
  );
  const entries = bind(wanted, part, { what: "the MoVQ" });
  return { config, part: { name: "movq", folder: part.folder, entries } };
}

const TIED_EMBEDDING = { "encoder.embed_tokens.weight": "shared.weight" };

/** Large models were trained at 768 to 1024 pixels; a small one draws best at two units. */
function defaultSide(config: UNetConfig, unit: number): number {
  return config.blockOutChannels[0]! >= 256 ? 1024 : 2 * unit;
}

/** The learned null embedding [C]; throws `null_embedding_missing` naming every place looked at. */
export async function readNullEmbedding({ folder }: OpenedModel): Promise<Float32Array> {
  if (folder.nullEmbedding === undefined) {
    throw new KandinskyError("null_embedding_missing", {
      what: "the native profile needs the learned null embedding, which this model does not have",
      where: folder.root,
      seen: `none of ${folder.nullEmbeddingPlaces.join(", ")}`,
      hint: "use --profile diffusers, or give a negative prompt, or put null_embedding.safetensors there",
    });
  }
  return (await readTensorAsFloat32(folder.nullEmbedding)).data;
}

async function readPreview(root: string): Promise<PreviewMatrix | undefined> {
  const text = await readFile(join(root, PREVIEW_FILE), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as PreviewMatrix);
}

async function readVocabulary(root: string): Promise<readonly SubjectNames[] | undefined> {
  const file = join(root, SUBJECTS_FILE);
  const text = await readFile(file, "utf8").catch(() => undefined);
  return text === undefined ? undefined : parseVocabulary(text, file);
}

/** Beside model_index.json: a linear map from latent to colours, for previews. */
export const PREVIEW_FILE = "preview.json";
