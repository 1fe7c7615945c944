import { createHash } from "node:crypto";
import { movqEncoderGraph } from "../models/mod.ts";
import { type Pass, runPasses } from "../passes/mod.ts";
import {
  encodeText,
  foldPart,
  loadFolded,
  type OpenedModel,
  ResidentPrograms,
  type Workshop,
} from "../pipelines/mod.ts";
import type { Program } from "../runtime/mod.ts";
import { concatRows, row, type Tensor } from "../tensor/mod.ts";

/** The networks that are not trained. */
export interface Frozen {
  /** Pictures [1,3,H,W] of one size, in [-1,1], to latents [B,C,h,w]. */
  latentsOf(images: readonly Tensor<"float32">[]): Promise<Tensor<"float32">>;
  /** Captions to states [B,L,D] and how many tokens each has. */
  statesOf(texts: readonly string[]): Promise<{
    readonly hidden: Tensor<"float32">;
    readonly tokens: readonly number[];
  }>;
  dispose(): Promise<void>;
}

/** Rows that go through a frozen network together: one graph serves whatever number is left. */
const ROWS = 16;

/** Captions whose states are kept in memory; the data comes back to the short ones again and again. */
const KEPT_TEXTS = 4096;

/** Latents that are kept in memory, as many as have so many values (134 MB): a small folder is encoded once. */
const KEPT_LATENT_VALUES = 2 ** 25;

/** Text encoder and autoencoder of a model, for contexts of `length` tokens. */
export function openFrozen(
  workshop: Workshop,
  model: OpenedModel,
  length: number,
  passes: readonly Pass[],
): Frozen {
  const resident = new ResidentPrograms();
  const known = new Map<string, Tensor<"float32">>();
  const encoded = new Map<string, Tensor<"float32">>();
  let encoder: { readonly key: string; readonly program: Program } | undefined;

  const loadEncoder = async (width: number, height: number): Promise<Program> => {
    const key = `${width}x${height}`;
    if (encoder?.key === key) return encoder.program;
    await encoder?.program.release();
    const { config, part } = model.movq;
    const graph = runPasses(movqEncoderGraph(config, { batch: ROWS, height, width }), passes);
    encoder = { key, program: await loadFolded(workshop, part, "MoVQ encoder", foldPart(graph, part)) };
    return encoder.program;
  };

  const encodeRows = async (rows: readonly (readonly number[])[]): Promise<Tensor<"float32">> => {
    const { config, part } = model.text;
    const plan = {
      rows: rows.map((ids) => ({ ids, attended: ids.length })),
      conditional: [],
      unconditional: [],
      paddedLength: length,
    };
    return encodeText(workshop, part, config, plan, { resident });
  };

  return {
    async latentsOf(images) {
      const keys = images.map(contentOf);
      const missing = new Map(
        keys.flatMap((key, i) => (encoded.has(key) ? [] : [[key, images[i]!] as const])),
      );
      for (const chunk of chunksOf([...missing], ROWS)) {
        const [, , height, width] = chunk[0]![1].shape as [number, number, number, number];
        const program = await loadEncoder(width, height);
        const image = concatRows(filledUp(chunk, ROWS).map(([, one]) => one));
        const { latents } = await program.run({ image }, { latents: "return" });
        for (const [i, [key]] of chunk.entries()) encoded.set(key, row(latents as Tensor<"float32">, i));
      }
      const found = keys.map((key) => encoded.get(key)!);
      const kept = KEPT_LATENT_VALUES / found[0]!.data.length;
      for (const key of encoded.keys()) {
        if (encoded.size <= kept) break;
        encoded.delete(key);
      }
      return concatRows(found);
    },
    async statesOf(texts) {
      const ids = texts.map((text) => model.tokenizer.encode(text, length).ids);
      const keys = ids.map((one) => one.join());
      const missing = new Map(keys.flatMap((key, i) => (known.has(key) ? [] : [[key, ids[i]!] as const])));
      for (const chunk of chunksOf([...missing], ROWS)) {
        const states = await encodeRows(filledUp(chunk, ROWS).map(([, one]) => one));
        for (const [i, [key]] of chunk.entries()) known.set(key, row(states, i));
      }
      const hidden = concatRows(keys.map((key) => known.get(key)!));
      for (const key of known.keys()) {
        if (known.size <= KEPT_TEXTS) break;
        known.delete(key);
      }
      return { hidden, tokens: ids.map(({ length: count }) => count) };
    },
    async dispose() {
      await encoder?.program.release();
      await resident.dispose();
    },
  };
}

function contentOf({ shape, data }: Tensor<"float32">): string {
  return createHash("sha256").update(`${shape} `).update(data).digest("base64");
}

function* chunksOf<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size);
}

/** The items, with the last one again until there are `size`. */
function filledUp<T>(items: readonly T[], size: number): T[] {
  return Array.from({ length: size }, (_, i) => items[Math.min(i, items.length - 1)]!);
}
