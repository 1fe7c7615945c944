import type { Graph } from "../graph/mod.ts";
import { textProjectionGraph, type UNetConfig, unetGraph } from "../models/mod.ts";
import { joinTables, type Pass, runPasses, splitGraph } from "../passes/mod.ts";
import type { Held, Program } from "../runtime/mod.ts";
import { float32, type Tensor, tensor } from "../tensor/mod.ts";
import { firstWrong, isFinite32, NOWHERE } from "./blame.node.ts";
import type { BoundPart } from "./packing.node.ts";
import type { Precision } from "./plan.ts";
import { foldPart, loadFolded, type Workshop } from "./program.node.ts";
import { ResidentPrograms } from "./resident.node.ts";

/** What one batch of rows is conditioned on; two rows a picture where guidance is on. */
export interface UNetInputs {
  /** [B,L,C], from the text projection. */
  readonly context: Tensor<"float32">;
  /** [B,1,1,L]. */
  readonly maskBias: Tensor<"float32">;
  /** [B,1,L]. */
  readonly poolWeights: Tensor<"float32">;
  /** Timesteps at which the network will be evaluated, in order. */
  readonly times: readonly number[];
  /** Latent cells. */
  readonly height: number;
  readonly width: number;
}

/** The U-Net of one batch, ready for the loop. */
export interface PreparedUNet {
  /** `sample` [B,in,H,W] to the prediction [B,out,H,W] at `times[index]`. */
  evaluate(sample: Tensor<"float32">, index: number): Promise<Tensor<"float32">>;
  /** Names the first operation that makes a value which is not finite, for the sample and time given. */
  blame(sample: Tensor<"float32">, index: number): Promise<string>;
  /** Frees what belongs to the batch. */
  release(): Promise<void>;
}

/**
 * A network cut in two, kept for batches of the same sizes. The prologue's weights stay mapped too: they are pages of
 * a file, which the system takes back where it needs them, while mapping 4.5 GB anew costs a third of a second.
 */
interface Loaded {
  readonly key: string;
  readonly graph: Graph;
  readonly derived: ReadonlyMap<string, Graph>;
  readonly precision: Precision;
  readonly body: Program;
  readonly loadPrologue: () => Promise<Program>;
  /** Absent while it makes room for the body. */
  prologue: Program | undefined;
}

/** Runs the U-Net: what does not depend on the latent once a batch, the body once a step. */
export class UNetRunner {
  readonly #workshop: Workshop;
  readonly #part: BoundPart;
  readonly #config: UNetConfig;
  readonly #passes: readonly Pass[];
  readonly #resident = new ResidentPrograms();
  #precision: Precision = "float32";
  #keepsLoaded = true;
  readonly #loaded = new Map<string, Loaded>();
  /** The network of each batch that is prepared and not released, by its key. */
  readonly #inUse = new Map<object, string>();

  constructor(workshop: Workshop, part: BoundPart, config: UNetConfig, passes: readonly Pass[]) {
    this.#workshop = workshop;
    this.#part = part;
    this.#config = config;
    this.#passes = passes;
  }

  /**
   * How weights are kept, and whether all programs of the batches in use stay loaded, or only the one that runs, from
   * the next batch on.
   */
  use(precision: Precision, keepsLoaded: boolean): void {
    this.#precision = precision;
    this.#keepsLoaded = keepsLoaded;
  }

  /** Encoder states [N,L,D] to contexts [N,L,C]. */
  async project(hidden: Tensor<"float32">): Promise<Tensor<"float32">> {
    const [batch, length] = hidden.shape as [number, number, number];
    const load = () => {
      const folded = foldPart(textProjectionGraph(this.#config, batch, length), this.#part);
      return loadFolded(this.#workshop, this.#part, "text projection", folded, {
        precision: this.#precision,
      });
    };
    const key = `${batch}x${length} ${this.#precision}`;
    return this.#resident.use(this.#part, "projection", key, load, async (program) => {
      const { context } = await program.run({ encoder_hidden_states: hidden }, { context: "return" });
      return context as Tensor<"float32">;
    });
  }

  /** Loads prologue and body where a batch of other sizes came before, and runs the prologue. */
  async prepare(inputs: UNetInputs): Promise<PreparedUNet> {
    const loaded = await this.#load(inputs);
    const fixed = fixedFeeds(inputs);
    loaded.prologue ??= await loaded.loadPrologue();
    const carried = await runPrologue(loaded.prologue, fixed);
    if (!this.#keepsLoaded) {
      await loaded.prologue.release();
      loaded.prologue = undefined;
    }
    const { engine } = this.#workshop;
    const user = {};
    this.#inUse.set(user, loaded.key);
    return {
      evaluate: async (sample, index) => {
        // Another batch may have taken its place meanwhile.
        const { body } = await this.#load(inputs);
        const feeds = pick(body, { ...fixed, ...carried, sample, step: stepOf(index) });
        const { prediction } = await body.run(feeds, { prediction: "return" });
        return prediction as Tensor<"float32">;
      },
      blame: async (sample, index) =>
        this.#blame(await this.#load(inputs), { ...fixed, sample, step: stepOf(index) }),
      release: async () => {
        this.#inUse.delete(user);
        await engine.release(Object.values(carried));
      },
    };
  }

  async dispose(): Promise<void> {
    await this.#resident.dispose();
    await this.unload();
  }

  /** Releases what the next batch loads again. */
  async unload(): Promise<void> {
    await this.#unloadBut(new Set());
  }

  async #unloadBut(kept: ReadonlySet<string>): Promise<void> {
    for (const [key, { body, prologue }] of this.#loaded) {
      if (kept.has(key)) continue;
      this.#loaded.delete(key);
      await body.release();
      await prologue?.release();
    }
  }

  async #load({ context, times, height, width }: UNetInputs): Promise<Loaded> {
    const [batch, contextLength] = context.shape as [number, number, number];
    const shape = { batch, height, width, contextLength, steps: times.length };
    const precision = this.#precision;
    const key = JSON.stringify({ ...shape, precision });
    const found = this.#loaded.get(key);
    if (found !== undefined) return found;
    await this.#unloadBut(new Set(this.#keepsLoaded ? this.#inUse.values() : []));
    const graph = runPasses(unetGraph(this.#config, shape), this.#passes);
    const { derived, graph: folded } = foldPart(graph, this.#part);
    const halves = joinTables(splitGraph(folded, ["sample", "step"]));
    const load = (name: string, half: Graph) =>
      loadFolded(this.#workshop, this.#part, name, { graph: half, derived }, { precision });
    const body = await load("U-Net", halves.body);
    const loadPrologue = () => load("U-Net prologue", halves.prologue);
    const loaded = { key, graph: folded, derived, precision, body, loadPrologue, prologue: undefined };
    this.#loaded.set(key, loaded);
    return loaded;
  }

  async #blame(
    { graph, derived, precision }: Loaded,
    feeds: Readonly<Record<string, Tensor>>,
  ): Promise<string> {
    const load = (watched: Graph) =>
      loadFolded(this.#workshop, this.#part, "U-Net, watched", { graph: watched, derived }, { precision });
    return (await firstWrong({ graph, feeds, load }, (t) => !isFinite32(t))) ?? NOWHERE;
  }
}

async function runPrologue(
  prologue: Program,
  fixed: Readonly<Record<string, Tensor>>,
): Promise<Readonly<Record<string, Held>>> {
  const fetches = Object.fromEntries(prologue.outputs.map(({ name }) => [name, "hold" as const]));
  return prologue.run(pick(prologue, fixed), fetches);
}

/** What a batch feeds besides `sample` and `step`. */
export function fixedFeeds(inputs: UNetInputs): Readonly<Record<string, Tensor>> {
  const batch = inputs.context.shape[0]!;
  return {
    context: inputs.context,
    mask_bias: inputs.maskBias,
    pool_weights: inputs.poolWeights,
    timesteps: float32(
      [inputs.times.length, batch],
      inputs.times.flatMap((time) => new Array<number>(batch).fill(time)),
    ),
  };
}

/** The feed `step`. */
export function stepOf(index: number): Tensor<"int64"> {
  return tensor("int64", [], BigInt64Array.of(BigInt(index)));
}

/** The feeds that a program takes, out of all there are. */
function pick<T>(program: Program, feeds: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(program.inputs.map(({ name }) => [name, feeds[name]!]));
}
