import { join } from "node:path";
import { type WrittenSample, writeShard } from "../data/mod.ts";
import { encodePixels, type Picture, saveFile } from "../image/mod.ts";
import { foldIn, type Key } from "../random/mod.ts";
import { captionsOf } from "./captions.ts";
import { composeScene, type Masters } from "./compose.ts";
import { LANGUAGES } from "./languages.ts";
import { drawSpec, type SceneOptions, type SceneSpec } from "./spec.ts";
import { STYLES, type StyleName } from "./styles.ts";
import type { Subject } from "./subjects.ts";

export interface ScenesRequest {
  readonly subjects: readonly Subject[];
  readonly masters: Masters;
  readonly scenes: SceneOptions;
  readonly key: Key;
  readonly count: number;
  /** Side of the pictures, pixels. */
  readonly size: number;
  /** Samples of a shard. */
  readonly perShard: number;
  /** Folder for the shards; it must be there. */
  readonly folder: string;
  /** Called after every scene; what it throws stops the work with the shards so far whole. */
  readonly onScene: (picture: Picture, spec: SceneSpec, done: number) => void;
}

/**
 * Writes scenes as WebDataset shards: `png`, and `json` with a caption in every language, the spec (which is the truth,
 * and redraws the picture), and where its icons come from. `licences.json` says the same of the whole. Equal
 * requests give equal files. Returns the paths of the shards.
 */
export async function writeScenes(request: ScenesRequest): Promise<string[]> {
  const { folder, count, perShard } = request;
  const paths: string[] = [];
  const used = new Set<StyleName>();
  for (let first = 0; first < count; first += perShard) {
    const path = join(folder, `scenes-${String(paths.length).padStart(6, "0")}.tar`);
    await writeShard(path, samples(request, first, Math.min(first + perShard, count), used));
    paths.push(path);
  }
  const sets = [...used].sort().map((style) => ({ style, ...sourceOf(style) }));
  const text = `${JSON.stringify({ pictures: count, sets }, undefined, 1)}\n`;
  await saveFile(join(folder, "licences.json"), new TextEncoder().encode(text), { overwrite: false });
  return paths;
}

async function* samples(
  { subjects, masters, scenes, key, size, onScene }: ScenesRequest,
  first: number,
  end: number,
  used: Set<StyleName>,
): AsyncIterable<WrittenSample> {
  const byCode = new Map(subjects.map((subject) => [subject.code, subject]));
  for (let index = first; index < end; index++) {
    const at = foldIn(key, index);
    const spec = drawSpec(foldIn(at, SPEC), subjects, scenes);
    const picture = composeScene(spec, masters, size);
    used.add(spec.style);
    const told = {
      captions: captionsOf(foldIn(at, CAPTIONS), spec, byCode, LANGUAGES),
      scene: spec,
      source: sourceOf(spec.style),
    };
    onScene(picture, spec, index + 1);
    yield {
      key: String(index).padStart(9, "0"),
      members: { png: await encodePixels(picture, "png"), json: JSON.stringify(told) },
    };
  }
}

/** Uses of a scene's key. */
const SPEC = 0;
const CAPTIONS = 1;

function sourceOf(style: StyleName) {
  const { package: name, version, author, licence } = STYLES[style];
  return { package: name, version, author, licence };
}
