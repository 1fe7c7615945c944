import { type MovqConfig, movqDecoderGraph } from "../models/mod.ts";
import { type Pass, runPasses } from "../passes/mod.ts";
import type { Program } from "../runtime/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import type { BoundPart } from "./packing.node.ts";
import { foldPart, loadFolded, type Workshop } from "./program.node.ts";

/** Decodes latents to pictures, one at a time. */
export class MovqRunner {
  readonly #workshop: Workshop;
  readonly #part: BoundPart;
  readonly #config: MovqConfig;
  readonly #passes: readonly Pass[];
  #decoder: { readonly key: string; readonly program: Program } | undefined;

  constructor(workshop: Workshop, part: BoundPart, config: MovqConfig, passes: readonly Pass[]) {
    this.#workshop = workshop;
    this.#part = part;
    this.#config = config;
    this.#passes = passes;
  }

  /** A latent [1,4,h,w] to a picture [1,3,H,W] in about [-1,1]. */
  async decode(latent: Tensor<"float32">): Promise<Tensor<"float32">> {
    const program = await this.#load(latent.shape);
    const { image } = await program.run({ latents: latent }, { image: "return" });
    return image as Tensor<"float32">;
  }

  async dispose(): Promise<void> {
    await this.#decoder?.program.release();
    this.#decoder = undefined;
  }

  async #load(shape: readonly number[]): Promise<Program> {
    const key = shape.join();
    if (this.#decoder?.key === key) return this.#decoder.program;
    await this.dispose();
    const [batch, , height, width] = shape as [number, number, number, number];
    const graph = runPasses(movqDecoderGraph(this.#config, { batch, height, width }), this.#passes);
    const folded = foldPart(graph, this.#part);
    const program = await loadFolded(this.#workshop, this.#part, "MoVQ decoder", folded);
    this.#decoder = { key, program };
    return program;
  }
}
