import { fileURLToPath } from "node:url";
import { bind, openPart } from "../checkpoint/mod.ts";
import { meansTensor, type Picture } from "../image/mod.ts";
import {
  type ClassifierConfig,
  classifierGraph,
  classifierParameters,
  parseClassifierConfig,
} from "../models/mod.ts";
import { loadWithCasts, PackStore } from "../pipelines/mod.ts";
import type { Engine } from "../runtime/mod.ts";
import { row, type Tensor } from "../tensor/mod.ts";

/** Folder of the classifier that comes along; `configs/nano-judge.ts` makes it. */
export const JUDGE_FOLDER = fileURLToPath(new URL("../../../models/nano-judge", import.meta.url));

/** A classifier of subjects that was taught on renders alone. */
export interface Classifier {
  /** What it was taught, and its own figures on pictures apart. */
  readonly config: ClassifierConfig;
  /** Features of pictures of any size, each of length 1: their products are how alike pictures are. */
  featuresOf(pictures: readonly Picture[]): Promise<readonly Float32Array[]>;
}

/** Pictures that go through it together. */
const ROWS = 16;

/** Opens a classifier's folder. Throws what opening, reading and binding a part throws. */
export async function openClassifier(folder: string, engine: Engine): Promise<Classifier> {
  const opened = await openPart(folder);
  const config = parseClassifierConfig(opened.config, opened.configFile);
  const entries = bind(classifierParameters(config), opened, { what: "the classifier" });
  const part = { name: "classifier", folder: opened.folder, entries };
  const workshop = { engine, store: new PackStore(opened.folder, false, () => {}) };
  const program = await loadWithCasts(workshop, part, "classifier", classifierGraph(config, ROWS));
  return {
    config,
    async featuresOf(pictures) {
      const found: Float32Array[] = [];
      for (let at = 0; at < pictures.length; at += ROWS) {
        const own = pictures.slice(at, at + ROWS);
        const filled = Array.from({ length: ROWS }, (_, i) => own[i] ?? own[0]!);
        const image = meansTensor(filled, config.side);
        const { features } = await program.run({ image }, { features: "return" });
        found.push(...own.map((_, i) => row(features as Tensor<"float32">, i).data));
      }
      return found;
    },
  };
}
