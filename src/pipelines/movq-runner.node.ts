import type { Graph } from "../graph/mod.ts";
import { type MovqConfig, movqDecoderGraph, movqEncoderGraph } from "../models/mod.ts";
import { type FoldedGraph, type Pass, runPasses, stripeMaps } from "../passes/mod.ts";
import type { Program } from "../runtime/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import { firstWrong, isConstant, isFinite32, NOWHERE, notFinite } from "./blame.node.ts";
import type { BoundPart } from "./packing.node.ts";
import { foldPart, loadFolded, type Workshop } from "./program.node.ts";
import { ResidentPrograms } from "./resident.node.ts";

/** Larger maps are worked on a stripe at a time: at 1024 px one whole map takes up to 2.1 GB. */
export const MAX_STRIPE_BYTES = 64e6;

/** Latents of more cells than this make buffers that are better given back. */
export const ARENA_CELLS = 2048;

interface Loaded {
  readonly key: string;
  readonly folded: FoldedGraph;
  readonly program: Program;
}

/** Makes pictures of latents and latents of pictures, one at a time. */
export class MovqRunner {
  readonly #workshop: Workshop;
  readonly #part: BoundPart;
  readonly #config: MovqConfig;
  readonly #passes: readonly Pass[];
  readonly #resident = new ResidentPrograms();
  #decoder: Loaded | undefined;

  constructor(workshop: Workshop, part: BoundPart, config: MovqConfig, passes: readonly Pass[]) {
    this.#workshop = workshop;
    this.#part = part;
    this.#config = config;
    this.#passes = passes;
  }

  /** Pictures [1,3,H,W] of one size, in [-1,1], to latents [1,4,h,w], not quantised. */
  async encode(images: readonly Tensor<"float32">[]): Promise<Tensor<"float32">[]> {
    const [, , height, width] = (images[0]?.shape ?? []) as [number, number, number, number];
    const rows = height / 2 ** (this.#config.blockOutChannels.length - 1);
    const load = () => {
      const graph = runPasses(movqEncoderGraph(this.#config, { batch: 1, height, width }), [
        stripeMaps(MAX_STRIPE_BYTES, rows),
        ...this.#passes,
      ]);
      const folded = foldPart(graph, this.#part);
      return loadFolded(this.#workshop, this.#part, "MoVQ encoder", folded, { arena: false });
    };
    return this.#resident.use(this.#part, "encoder", `${width}x${height}`, load, async (program) => {
      const encoded: Tensor<"float32">[] = [];
      for (const image of images) {
        const { latents } = await program.run({ image }, { latents: "return" });
        const values = latents as Tensor<"float32">;
        if (!isFinite32(values)) throw notFinite("the MoVQ encoder's result is not finite", NOWHERE);
        encoded.push(values);
      }
      return encoded;
    });
  }

  /** A latent [1,4,h,w] to a picture [1,3,H,W] in about [-1,1]. */
  async decode(latent: Tensor<"float32">): Promise<Tensor<"float32">> {
    const { program } = await this.#load(latent.shape);
    const { image } = await program.run({ latents: latent }, { image: "return" });
    const values = image as Tensor<"float32">;
    if (!isFinite32(values)) {
      const place = await this.#firstWrong(latent, (t) => !isFinite32(t));
      throw notFinite("the MoVQ's result is not finite", place ?? NOWHERE);
    }
    return values;
  }

  /** Names the first operation from which on every channel has one value only. */
  async blameConstant(latent: Tensor<"float32">): Promise<string> {
    return (await this.#firstWrong(latent, isConstant)) ?? "values beyond what a picture can show";
  }

  async #firstWrong(
    latents: Tensor<"float32">,
    isWrong: (t: Tensor<"float32">) => boolean,
  ): Promise<string | undefined> {
    const { folded } = await this.#load(latents.shape);
    const load = (graph: Graph) =>
      loadFolded(this.#workshop, this.#part, "MoVQ decoder, watched", { ...folded, graph });
    return firstWrong({ graph: folded.graph, feeds: { latents }, load }, isWrong);
  }

  async dispose(): Promise<void> {
    await this.#resident.dispose();
    await this.unload();
  }

  /** Releases the decoder, which the next picture loads again. */
  async unload(): Promise<void> {
    await this.#decoder?.program.release();
    this.#decoder = undefined;
  }

  async #load(shape: readonly number[]): Promise<Loaded> {
    const key = shape.join();
    if (this.#decoder?.key === key) return this.#decoder;
    await this.unload();
    const [batch, , height, width] = shape as [number, number, number, number];
    const graph = runPasses(movqDecoderGraph(this.#config, { batch, height, width }), [
      stripeMaps(MAX_STRIPE_BYTES, height),
      ...this.#passes,
    ]);
    const folded = foldPart(graph, this.#part);
    const program = await loadFolded(this.#workshop, this.#part, "MoVQ decoder", folded, {
      // The runtime's arena rounds large buffers up to powers of two and keeps them.
      arena: batch * height * width < ARENA_CELLS,
    });
    this.#decoder = { key, folded, program };
    return this.#decoder;
  }
}
