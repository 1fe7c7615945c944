import type { z } from "zod";
import { clamp, KandinskyError, nearest, roundHalfEven } from "../base/mod.ts";
import {
  kandinsky22Schedule,
  PROFILES,
  type ProfileName,
  SAMPLERS,
  type SchedulerConfig,
  samplerNamed,
  scheduleOf,
  strengthFromEqualSnr,
} from "../diffusion/mod.ts";
import type { Rect } from "../image/mod.ts";
import type { BaseJob, Job, JobOf, JobWindows, KnownFile, PictureJob } from "./job.ts";
import { type Operation, type ParsedRequest, type PictureRequest, REQUESTS } from "./request.ts";

/** What a model says about defaults. */
export interface ModelDefaults {
  /** Pixels that both sides must be multiples of. */
  readonly unit: number;
  /** Side of a square picture where no size is given. */
  readonly side: number;
  readonly profile: ProfileName;
  readonly scheduler: SchedulerConfig;
}

/** A picture that a request works on, as far as it decides what is drawn. */
export interface KnownPicture extends KnownFile {
  readonly width: number;
  readonly height: number;
}

/** What of the pictures of a request decides how it is filled in. */
export interface KnownPictures {
  readonly image?: KnownPicture;
  /** The file of the mask. */
  readonly mask?: KnownFile;
  /** The smallest rectangle with all of the hole. */
  readonly hole?: Rect;
}

/**
 * Checks a request against the schema of its operation.
 * Throws `option_invalid` naming the option, `option_unknown` for an operation, a sampler and other names.
 */
export function parseRequest(request: PictureRequest): ParsedRequest {
  const { operation = "generate", sampler } = request;
  if (typeof sampler === "string") samplerNamed(sampler);
  if (!Object.hasOwn(REQUESTS, operation)) throw unknownOperation(operation);
  const parsed = REQUESTS[operation].safeParse(request);
  if (!parsed.success) throw invalid(parsed.error, request);
  return parsed.data;
}

/**
 * Fills in the defaults and checks sizes and counts. `pictures` are those that the request names.
 * Throws as `parseRequest` does, `size_unit` with the two nearest sizes, and `picture_unfit` for pictures that are
 * too small.
 */
export function resolveRequest(
  request: PictureRequest,
  model: ModelDefaults,
  randomSeed: () => number,
  pictures: KnownPictures = {},
): Job {
  const parsed = parseRequest(request);
  // The table ties each operation to its request; indexing by a union cannot show that to the compiler.
  const resolver = RESOLVERS[parsed.operation] as (request: ParsedRequest, given: Given) => Job;
  return resolver(parsed, { model, randomSeed, pictures });
}

interface Given {
  readonly model: ModelDefaults;
  readonly randomSeed: () => number;
  readonly pictures: KnownPictures;
}

const RESOLVERS: { readonly [O in Operation]: (request: ParsedRequest<O>, given: Given) => JobOf<O> } = {
  generate: (r, given) => {
    const { side, unit } = given.model;
    const width = checkSide("width", r.width ?? side, unit);
    const height = checkSide("height", r.height ?? side, unit);
    return { operation: "generate", ...baseOf(r, given, { width, height }, { width, height }) };
  },
  edit: (r, given) => {
    const { unit, scheduler } = given.model;
    const { file, sha256, ...picture } = given.pictures.image!;
    const size = resultSize(r, picture, given.model, file);
    return {
      operation: "edit",
      ...baseOf(r, given, size, inUnits(size, unit)),
      image: { file, sha256 },
      strength: strengthOf(r, scheduler),
    };
  },
  inpaint: (r, given) => {
    const { model, pictures } = given;
    const { image, hole, mask } = pictures;
    const { file, sha256, width, height } = image!;
    checkLarge(image!, model.unit, file);
    const { padding, invert, grow, feather, matchColors } = r;
    const isLarge = width * height > model.side ** 2;
    const region = r.region === "auto" ? (isLarge ? "mask" : "whole") : r.region;
    const area =
      region === "mask" ? surroundings(hole!, padding, { width, height }) : wholeOf({ width, height });
    const canvas = inpaintingCanvas(area, model, region === "mask");
    return {
      operation: "inpaint",
      ...baseOf(r, given, { width, height }, canvas, INPAINTING),
      image: { file, sha256 },
      mask: r.mask.from === "file" ? { ...r.mask, ...mask } : r.mask,
      ...{ padding, invert, grow, feather, matchColors, region, area },
      strength: strengthOf(r, model.scheduler),
    };
  },
  extend: (r, given) => {
    const { model, pictures } = given;
    const { file, sha256, ...picture } = pictures.image!;
    checkLarge(picture, model.unit, file);
    const sides = extendedSides(r, picture);
    const width = sides.left + picture.width + sides.right;
    const height = sides.top + picture.height + sides.bottom;
    const canvas = { width: unitsUp(width, model.unit), height: unitsUp(height, model.unit) };
    const offset = {
      // What is drawn and then cut off lies where the picture is extended.
      left: sides.left > sides.right ? canvas.width - width : 0,
      top: sides.top > sides.bottom ? canvas.height - height : 0,
    };
    return {
      operation: "extend",
      ...baseOf(joined(r), given, { width, height }, canvas, INPAINTING),
      image: { file, sha256 },
      ...sides,
      offset,
      matchColors: r.matchColors,
      windows: windowsOf(r, canvas, model, false),
      sections: sectionsOf(r),
    };
  },
  panorama: (r, given) => {
    const { side, unit } = given.model;
    const width = checkSide("width", r.width ?? 4 * side, unit);
    const height = checkSide("height", r.height ?? side, unit);
    const canvas = { width, height };
    return {
      operation: "panorama",
      ...baseOf(joined(r), given, canvas, canvas),
      windows: windowsOf(r, canvas, given.model, r.wrap),
      sections: sectionsOf(r),
    };
  },
  upscale: (r, given) => {
    const { model, pictures } = given;
    const { file, sha256, ...picture } = pictures.image!;
    const size = { width: r.by * picture.width, height: r.by * picture.height };
    checkLarge(size, model.unit, file);
    const canvas = { width: unitsUp(size.width, model.unit), height: unitsUp(size.height, model.unit) };
    return {
      operation: "upscale",
      ...baseOf(r, given, size, canvas),
      image: { file, sha256 },
      by: r.by,
      strength: strengthOf(r, model.scheduler),
      windows: windowsOf(r, canvas, model, false),
    };
  },
};

/** Of Kandinsky 3's `inpainting_pipeline.py`; the threshold is for its own sampling. */
const INPAINTING = { guidance: 4, threshold: 0.95 };

type Strength = { readonly strength: number; readonly strengthAs: "schedule" | "linear" };

/** A strength of Kandinsky 2.2 is the one that leaves the same ratio of signal to noise on the model's schedule. */
function strengthOf({ strength, strengthAs }: Strength, scheduler: SchedulerConfig): number {
  if (strengthAs === "schedule") return strength;
  return strengthFromEqualSnr(strength, kandinsky22Schedule(), scheduleOf(scheduler));
}

function wholeOf({ width, height }: Size): Rect {
  return { left: 0, top: 0, width, height };
}

/** The hole with `padding` pixels around it, and no side less than half of the other, as far as the picture goes. */
function surroundings(hole: Rect, padding: number, picture: Size): Rect {
  const least = Math.ceil(Math.max(hole.width, hole.height) / 2 + padding);
  const along = (start: number, length: number, limit: number) => {
    const wanted = Math.min(limit, Math.max(length + 2 * padding, least));
    const first = clamp(Math.round(start + length / 2 - wanted / 2), 0, limit - wanted);
    return [first, wanted] as const;
  };
  const [left, width] = along(hole.left, hole.width, picture.width);
  const [top, height] = along(hole.top, hole.height, picture.height);
  return { left, top, width, height };
}

/**
 * The original's size for inpainting: at most the model's area, in whole units rounded down, never enlarged. Only
 * the surroundings of a hole are: they are drawn as large as the model draws.
 */
export function inpaintingCanvas(
  area: Size,
  { side, unit }: Pick<ModelDefaults, "side" | "unit">,
  enlarge: boolean,
): Size {
  const ratio = Math.sqrt((area.width * area.height) / side ** 2);
  const factor = enlarge ? ratio : Math.max(1, ratio);
  const fitted = (pixels: number) => Math.max(1, Math.floor(roundHalfEven(pixels / factor) / unit)) * unit;
  return { width: fitted(area.width), height: fitted(area.height) };
}

type Sides = Readonly<Record<"left" | "right" | "top" | "bottom", number>>;

/** Pixels to add to every side. Throws `option_invalid` where nothing is added, or a ratio cannot be reached so. */
function extendedSides(r: ParsedRequest<"extend">, picture: Size): Sides {
  const [left, right] = [r.left, r.right].map((side) => pixelsOf(side, picture.width)) as [number, number];
  const [top, bottom] = [r.top, r.bottom].map((side) => pixelsOf(side, picture.height)) as [number, number];
  const width = left + picture.width + right;
  const height = top + picture.height + bottom;
  const [wider, higher] =
    r.ratio === undefined
      ? [0, 0]
      : [
          Math.max(0, Math.round(height * r.ratio) - width),
          Math.max(0, Math.round(width / r.ratio) - height),
        ];
  const sides = {
    left: left + Math.ceil(wider / 2),
    right: right + Math.floor(wider / 2),
    top: top + Math.ceil(higher / 2),
    bottom: bottom + Math.floor(higher / 2),
  };
  if (Object.values(sides).some((side) => side > 0)) return sides;
  throw new KandinskyError("option_invalid", {
    what: "there is nothing to extend",
    where: "left",
    seen: r.ratio === undefined ? "no side" : `${picture.width}x${picture.height}`,
    wanted: "a side or another ratio",
    hint: "name a side and its pixels or percent, such as --left 25%, or a --ratio",
  });
}

function pixelsOf(extent: number | string, side: number): number {
  return typeof extent === "number" ? extent : Math.round((Number.parseFloat(extent) / 100) * side);
}

function unitsUp(pixels: number, unit: number): number {
  return Math.ceil(pixels / unit) * unit;
}

type Windowed = { readonly overlap: number; readonly join: "average" | "noise" };

/** Windows of the model's own side, or of the canvas's where that is shorter. */
function windowsOf(
  { overlap, join }: Windowed,
  canvas: Size,
  { side }: ModelDefaults,
  wrap: boolean,
): JobWindows {
  const width = Math.min(side, canvas.width);
  return { width, height: Math.min(side, canvas.height), overlap, join, wrap };
}

type Texts = {
  readonly prompt: string | readonly string[];
  readonly negative?: string | string[] | undefined;
};

function sectionsOf({ prompt }: Texts): string[] {
  return typeof prompt === "string" ? [prompt] : [...prompt];
}

/** Several prompts of one picture are told as one. */
function joined<T extends Texts>(r: T): T & { prompt: string } {
  return { ...r, prompt: sectionsOf(r).join(" | ") };
}

type Size = Readonly<Record<"width" | "height", number>>;

/** Both sides of the canvas that is nearest to a size, in whole units. */
function inUnits({ width, height }: Size, unit: number): Size {
  const side = (pixels: number) => Math.max(1, Math.round(pixels / unit)) * unit;
  return { width: side(width), height: side(height) };
}

/**
 * The size asked for, or one side of it and the picture's shape, or the picture's own size, made smaller where its
 * area is larger than the model's. A picture is not made larger unasked.
 */
function resultSize(
  asked: { readonly width?: number | undefined; readonly height?: number | undefined },
  picture: Size,
  { side, unit }: ModelDefaults,
  where: string,
): Size {
  const { width, height } = asked;
  if (width !== undefined && height !== undefined) return { width, height };
  const factor =
    width !== undefined
      ? width / picture.width
      : height !== undefined
        ? height / picture.height
        : Math.min(1, side / Math.sqrt(picture.width * picture.height));
  if (factor === 1) checkLarge(picture, unit, where);
  const scaled = (pixels: number) => Math.max(1, Math.round(pixels * factor));
  return { width: width ?? scaled(picture.width), height: height ?? scaled(picture.height) };
}

/** A picture of less than half a unit would be drawn more than twice as large as it is. */
function checkLarge({ width, height }: Size, unit: number, where: string): void {
  if (2 * Math.min(width, height) >= unit) return;
  throw new KandinskyError("picture_unfit", {
    what: "the picture is too small for this model",
    where,
    seen: `${width}x${height}`,
    wanted: `at least ${unit / 2} pixels a side`,
    hint: "make it larger first",
  });
}

type Settings = Omit<ParsedRequest<"generate">, "operation" | "width" | "height">;

function baseOf(
  r: Settings,
  { model, randomSeed }: Given,
  size: Size,
  canvas: Size,
  defaults: { readonly guidance?: number; readonly threshold?: number } = {},
): BaseJob {
  const profile = r.profile ?? (r.sampler === "native" || r.sampler === "flash" ? "native" : model.profile);
  const sampler = r.sampler ?? PROFILES[profile].sampler;
  const fixedSteps = (SAMPLERS[sampler] as { readonly fixedSteps?: number }).fixedSteps;
  return {
    pictures: picturesOf(r, randomSeed),
    ...size,
    canvas,
    steps: fixedSteps ?? r.steps ?? PROFILES[profile].steps,
    // Flash was distilled to need no guidance.
    guidance: sampler === "flash" ? 0 : (r.guidance ?? defaults.guidance ?? PROFILES[profile].guidance),
    guidanceRescale: r.guidanceRescale,
    guidanceInterval: r.guidanceInterval,
    sampler,
    spacing: r.spacing,
    profile,
    threshold: r.threshold ?? (profile === "native" && r.clip === undefined ? defaults.threshold : undefined),
    clip: r.clip,
    rng: r.rng,
    batchText: r.batchText,
    ...(r.mix === undefined ? {} : { mix: r.mix }),
  };
}

function picturesOf(r: Settings, randomSeed: () => number): PictureJob[] {
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

function unknownOperation(seen: unknown): KandinskyError {
  const names = Object.keys(REQUESTS);
  const close = typeof seen === "string" ? nearest(seen, names) : undefined;
  return new KandinskyError("option_unknown", {
    what: "unknown operation",
    where: "operation",
    seen: JSON.stringify(seen),
    wanted: names.join(", "),
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}

function invalid(error: z.ZodError, request: PictureRequest): KandinskyError {
  const issue = error.issues[0]!;
  const field = String(issue.path[0] ?? "");
  const value = (request as Readonly<Record<string, unknown>>)[field];
  const close =
    issue.code === "invalid_value" && typeof value === "string"
      ? nearest(value, issue.values.map(String))
      : undefined;
  return new KandinskyError(issue.code === "invalid_value" ? "option_unknown" : "option_invalid", {
    what: "cannot use this value",
    ...(field === "" ? {} : { where: field, seen: shortened(JSON.stringify(value)) }),
    wanted: wordIssue(issue),
    ...(close === undefined ? {} : { hint: `did you mean ${close}?` }),
  });
}

/** Whole lists would fill the screen. */
function shortened(text: string | undefined): string {
  return text === undefined || text.length <= 100 ? `${text}` : `${text.slice(0, 100)}...`;
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
