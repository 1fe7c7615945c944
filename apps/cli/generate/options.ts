import { KandinskyError, nearest } from "../../../src/base/mod.ts";
import type { PictureFormat } from "../../../src/image/mod.ts";
import type { GenerateRequest, LoraChoice, ModelInfo } from "../../../src/pipelines/mod.ts";
import { DEVICES, type Device } from "../../../src/runtime/mod.ts";
import type { Size } from "../values.ts";

/** Options of every command that draws, as commander returns them. */
export interface MachineOptions {
  readonly model?: string;
  readonly lora: readonly LoraChoice[];
  readonly device?: string;
  readonly threads?: number;
  /** Bytes. */
  readonly memory?: number;
  /** False with --no-cache. */
  readonly cache: boolean;
}

export interface OutputOptions {
  readonly output?: string;
  readonly overwrite?: boolean;
  readonly json?: boolean;
  /** False with --no-preview. */
  readonly preview: boolean;
}

/** Options that say what to draw: none of them goes with --resume. */
export interface PictureOptions {
  readonly prompts?: string;
  readonly negative?: string;
  readonly size?: Size;
  readonly ratio?: number;
  readonly count?: number;
  readonly seed?: number;
  readonly steps?: number;
  readonly guidance?: number;
  readonly guidanceRescale?: number;
  readonly guidanceInterval?: [number, number];
  readonly threshold?: number;
  readonly clip?: number;
  readonly sampler?: string;
  readonly spacing?: string;
  readonly profile?: string;
  readonly batchText?: string;
  readonly rng?: string;
}

export interface GenerateOptions extends MachineOptions, OutputOptions, PictureOptions {
  readonly format?: string;
  readonly sheet?: boolean;
  readonly resume?: string;
}

/** The request that the options make for a model; the library checks it. */
export function requestOf(
  prompts: readonly string[],
  options: PictureOptions,
  info: Pick<ModelInfo, "unit" | "side">,
): GenerateRequest {
  const { prompts: _, size, ratio, ...settings } = options;
  const given = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined));
  const wanted = ratio === undefined ? size : shaped(ratio, size, info);
  // Names that do not exist are the library's to refuse, as it does for every caller.
  return { ...(given as Partial<GenerateRequest>), prompt: [...prompts], ...wanted };
}

/** The size of that shape nearest to the area of `size`, or of the model's square, in whole units. */
function shaped(ratio: number, size: Size | undefined, { unit, side }: { unit: number; side: number }): Size {
  const area = size === undefined ? side * side : size.width * size.height;
  const snap = (length: number) => Math.max(1, Math.round(length / unit)) * unit;
  return { width: snap(Math.sqrt(area * ratio)), height: snap(Math.sqrt(area / ratio)) };
}

/** A device by its name; throws `option_unknown` with the nearest. */
export function deviceOf(name: string | undefined): Device | undefined {
  return name === undefined ? undefined : oneOf("--device", name, DEVICES);
}

const FORMAT_OF: Readonly<Record<string, PictureFormat>> = {
  png: "png",
  webp: "webp",
  jpeg: "jpeg",
  jpg: "jpeg",
};

/** The format that --format or the file name asks for; throws where they disagree. */
export function formatOf(format: string | undefined, output: string | undefined): PictureFormat {
  const wanted = format === undefined ? undefined : oneOf("--format", format, Object.keys(FORMAT_OF));
  const extension = /\.([a-z]+)$/i.exec(output ?? "")?.[1]?.toLowerCase();
  const named = extension === undefined ? undefined : FORMAT_OF[extension];
  if (extension !== undefined && named === undefined) {
    throw new KandinskyError("option_invalid", {
      what: "cannot write pictures of this kind",
      where: "--output",
      seen: `.${extension}`,
      wanted: ".png, .webp or .jpeg",
    });
  }
  if (wanted === undefined) return named ?? "png";
  if (named !== undefined && named !== FORMAT_OF[wanted]) {
    throw new KandinskyError("option_invalid", {
      what: "the format and the file name disagree",
      where: "--format",
      seen: `${wanted}, .${extension}`,
      hint: "leave one of them out",
    });
  }
  return FORMAT_OF[wanted]!;
}

function oneOf<T extends string>(flag: string, name: string, names: readonly T[]): T {
  if (names.includes(name as T)) return name as T;
  const close = nearest(name, names);
  throw new KandinskyError("option_unknown", {
    what: "unknown name",
    where: flag,
    seen: JSON.stringify(name),
    wanted: names.join(", "),
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}
