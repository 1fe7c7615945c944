import { randomInt } from "node:crypto";
import { KandinskyError } from "../base/mod.ts";
import {
  evaluationTimes,
  type Ladder,
  NOISE_SOURCES,
  PROFILES,
  planLadder,
  SAMPLERS,
  type SamplerState,
  stateAfter,
} from "../diffusion/mod.ts";
import { checkPicture, latentPreview, type Picture, pictureFromTensor } from "../image/mod.ts";
import { type Device, type Engine, startEngine } from "../runtime/mod.ts";
import { row, type Tensor } from "../tensor/mod.ts";
import type { LoraChoice } from "./adapt.node.ts";
import { contextOf, denoiserOfBatch } from "./denoise.node.ts";
import { type Estimate, estimateJob } from "./estimate.node.ts";
import type { GenerateEvent, Notice, RunState } from "./events.ts";
import { SideEvents } from "./merge.ts";
import { pictureMetadata } from "./metadata.ts";
import {
  EMBEDDED_MODEL,
  type ModelInfo,
  type OpenedModel,
  openModel,
  readNullEmbedding,
} from "./model.node.ts";
import { MovqRunner } from "./movq-runner.node.ts";
import { type OnPack, PackStore } from "./packing.node.ts";
import { passesFor } from "./passes.node.ts";
import { countLoads } from "./program.node.ts";
import { type GenerateRequest, type Job, type PictureJob, resolveRequest } from "./request.ts";
import { ResidentPrograms } from "./resident.node.ts";
import { encodeText } from "./t5-runner.node.ts";
import { MAX_TOKENS, planText, type TextPlan, unetMasks } from "./text.ts";
import { type PreparedUNet, UNetRunner } from "./unet-runner.node.ts";

/** Which model, and where and how it runs. */
export interface LoadOptions {
  /** Folder in the diffusers layout; the embedded nano model by default. */
  readonly model?: string;
  /** LoRAs that act on the U-Net, all together. */
  readonly loras?: readonly LoraChoice[];
  readonly device?: Device;
  /** Threads of one operation; all cores by default. */
  readonly threads?: number;
  /**
   * A new engine's process takes over between pictures after the old one has loaded this many programs (default
   * 200): ONNX Runtime does not give back all memory of a released session (its issue 25325).
   */
  readonly loadsPerEngine?: number;
  /** Whether packed weights are kept beside the model (default), or removed at the end. */
  readonly cache?: boolean;
}

/** How one run ends early, or goes on from where an earlier one ended. */
export interface GenerateOptions {
  /** Ends the run at once; the iteration throws `cancelled`. */
  readonly signal?: AbortSignal;
  /** Goes on from a state that an earlier run of the same job told. */
  readonly resume?: RunState;
}

/** What lives in the engine's process, made with the first picture and again after a cancelled run. */
interface Running {
  readonly engine: Engine;
  readonly store: PackStore;
  /** Programs loaded so far. */
  readonly loads: () => number;
  readonly texts: ResidentPrograms;
  readonly unet: UNetRunner;
  readonly movq: MovqRunner;
}

/** What is done to every graph before it runs. */
export /** Latent cells drawn together, so that small pictures share the work of a step. */
const CELLS_TOGETHER = 2048;
const PICTURES_TOGETHER = 8;

const LOADS_PER_ENGINE = 200;

/**
 * Kandinsky 3, ready to draw.
 *
 * ```ts
 * await using model = await Kandinsky3.load();
 * for await (const event of model.generate({ prompt: "two pandas" })) {
 *   if (event.type === "picture") console.log(event.picture.width);
 * }
 * ```
 */
export class Kandinsky3 implements AsyncDisposable {
  readonly #opened: OpenedModel;
  readonly #options: LoadOptions;
  #running: Promise<Running> | undefined;
  #stopping: Promise<void> | undefined;
  #onPack: OnPack = () => {};

  private constructor(opened: OpenedModel, options: LoadOptions) {
    this.#opened = opened;
    this.#options = options;
  }

  /** Opens a model: reads its small files and checks that every weight is there. Values are read when needed. */
  static async load(options: LoadOptions = {}): Promise<Kandinsky3> {
    return new Kandinsky3(await openModel(options.model ?? EMBEDDED_MODEL, options.loras), options);
  }

  get info(): ModelInfo {
    return this.#opened.info;
  }

  /** Fills in this model's defaults; throws for what cannot be drawn. */
  resolve(request: GenerateRequest): Job {
    const { info, scheduler } = this.#opened;
    return resolveRequest(request, { ...info, scheduler }, () => randomInt(2 ** 32));
  }

  /**
   * Seconds and memory that a job will take here, reckoned before it starts. Large jobs make the engine try the
   * machine's speed. Throws `memory_exceeded`, saying what fits.
   */
  estimate(job: Job): Promise<Estimate> {
    return estimateJob(this.#opened, job, async () => (await this.#start()).engine);
  }

  /** Draws; one run at a time. Throws `model_config` where `resume` is of a model with other weights. */
  async *generate(
    request: GenerateRequest | Job,
    { signal, resume }: GenerateOptions = {},
  ): AsyncGenerator<GenerateEvent, void, void> {
    const job = "pictures" in request ? request : this.resolve(request);
    if (resume !== undefined) checkSame(this.info, resume);
    const side = new SideEvents<GenerateEvent>();
    this.#onPack = (progress) => {
      // Thrown inside the writer, which then removes its unfinished file.
      if (signal?.aborted) throw new KandinskyError("cancelled", { what: "cancelled while packing weights" });
      side.push({ type: "pack", ...progress });
    };
    yield { type: "start", job };
    yield* this.#notices(job).map((notice) => ({ type: "notice", ...notice }) as const);
    const stop = () => {
      this.#stopping = this.#stop();
    };
    signal?.addEventListener("abort", stop, { once: true });
    try {
      if (signal?.aborted) throw new KandinskyError("cancelled", { what: "cancelled before the start" });
      const done = new Set(resume?.done ?? []);
      for (const group of groupsOf(job, done, resume, this.info.cell)) {
        await this.#renew();
        yield* side.mergeInto(this.#drawGroup(job, group, done, resume));
      }
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /** Ends the engine's process and removes what was only meant for it. */
  async dispose(): Promise<void> {
    await this.#stopping;
    const running = await this.#running?.catch(() => undefined);
    this.#running = undefined;
    if (running === undefined) return;
    await running.engine[Symbol.asyncDispose]();
    await running.store.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    const ended = await running?.catch(() => undefined);
    ended?.engine.kill();
    await ended?.store.dispose();
  }

  #start(): Promise<Running> {
    this.#running ??= this.#startEngine();
    return this.#running;
  }

  /** Starts a new engine in place of one that has loaded many programs. */
  async #renew(): Promise<void> {
    const before = this.#running;
    const running = await before;
    if (running === undefined || running.loads() < (this.#options.loadsPerEngine ?? LOADS_PER_ENGINE)) return;
    // An abort meanwhile has ended it.
    if (this.#running !== before) return;
    this.#running = this.#replace(running);
  }

  async #replace({ engine, store }: Running): Promise<Running> {
    await engine[Symbol.asyncDispose]();
    return this.#startEngine(store);
  }

  async #startEngine(store = this.#makeStore()): Promise<Running> {
    const { device = "cpu", threads } = this.#options;
    const started = await startEngine({ device, ...(threads === undefined ? {} : { threads }) });
    const { engine, loads } = countLoads(started);
    const { unet, movq } = this.#opened;
    const workshop = { engine, store };
    const passes = await passesFor(engine);
    return {
      ...workshop,
      loads,
      texts: new ResidentPrograms(),
      unet: new UNetRunner(workshop, unet.part, unet.config, passes),
      movq: new MovqRunner(workshop, movq.part, movq.config, passes),
    };
  }

  #makeStore(): PackStore {
    const { cache = true } = this.#options;
    return new PackStore(this.info.folder, cache, (progress) => this.#onPack(progress));
  }

  #notices(job: Job): Notice[] {
    const notices = job.pictures.flatMap((picture): Notice[] => {
      const { ids, fullLength, unknown, characters } = this.#opened.tokenizer.encode(
        picture.prompt,
        MAX_TOKENS,
      );
      const cut = fullLength > ids.length;
      return [
        ...(characters === 0 ? [{ notice: "prompt-empty" as const, picture: picture.index }] : []),
        ...(cut
          ? [{ notice: "prompt-cut" as const, picture: picture.index, tokens: fullLength, limit: MAX_TOKENS }]
          : []),
        ...(unknown.length > 0
          ? [{ notice: "prompt-unknown" as const, picture: picture.index, unknown, characters }]
          : []),
      ];
    });
    const off = job.guidance > 0 && !PROFILES[job.profile].guides(job.guidance);
    const { guidance, profile } = job;
    return off ? [...notices, { notice: "guidance-off", guidance, profile }] : notices;
  }

  async *#drawGroup(
    job: Job,
    group: readonly PictureJob[],
    done: Set<number>,
    resume: RunState | undefined,
  ): AsyncGenerator<GenerateEvent, void, void> {
    const pictures = group.map(({ index }) => index);
    const { preview, scheduler, info } = this.#opened;
    yield { type: "stage", stage: "load", pictures };
    const running = await this.#start();
    yield { type: "stage", stage: "encode", pictures };
    const plan = this.#planText(job, group);
    const { part, config } = this.#opened.text;
    const hidden = await encodeText(running, part, config, plan, { resident: running.texts });
    yield { type: "stage", stage: "prepare", pictures };
    const ladder = planLadder(job.sampler, scheduler, job);
    const prepared = await this.#prepare(running, job, plan, hidden, ladder);
    yield { type: "stage", stage: "denoise", pictures };

    const shape = [
      this.#opened.movq.config.vqEmbedDim,
      job.height / info.cell,
      job.width / info.cell,
    ] as const;
    const noise = NOISE_SOURCES[job.rng](
      group.map(({ seed }) => seed),
      shape,
    );
    const resumed = resume?.current?.pictures.join() === pictures.join() ? resume.current.sampler : undefined;
    const start: SamplerState = resumed ?? { index: 0, x: noise.start };
    const denoiser = denoiserOfBatch(prepared, plan, job, scheduler);
    let latents = start.x;
    let since = performance.now();
    for await (const step of SAMPLERS[job.sampler].run(denoiser, start, ladder, noise.step)) {
      latents = step.x;
      const seconds = (performance.now() - since) / 1000;
      yield {
        type: "step",
        pictures,
        index: step.index,
        total: step.total,
        seconds,
        previews: preview === undefined ? [] : previewsOf(step.x0, (x0) => latentPreview(x0, preview)),
        state: {
          fingerprint: info.fingerprint,
          job,
          done: [...done],
          current: { pictures, sampler: stateAfter(step) },
        },
      };
      since = performance.now();
    }
    await prepared.release();

    for (const [k, picture] of group.entries()) {
      yield { type: "stage", stage: "decode", pictures: [picture.index] };
      const image = await running.movq.decode(row(latents, k));
      const drawn = pictureFromTensor(image, job.profile === "native" ? "truncate" : "nearest");
      await checkDrawn(drawn, () => running.movq.blameConstant(row(latents, k)));
      done.add(picture.index);
      yield {
        type: "picture",
        job: picture,
        picture: drawn,
        metadata: pictureMetadata(job, picture, info),
        state: { fingerprint: info.fingerprint, job, done: [...done] },
      };
    }
  }

  #planText(job: Job, group: readonly PictureJob[]): TextPlan {
    return planText(this.#opened.tokenizer, group, {
      profile: job.profile,
      guided: PROFILES[job.profile].guides(job.guidance),
      joint: job.batchText === "joint",
    });
  }

  async #prepare(
    { unet }: Running,
    job: Job,
    plan: TextPlan,
    hidden: Tensor<"float32">,
    ladder: Ladder,
  ): Promise<PreparedUNet> {
    const halves = [...plan.unconditional, ...plan.conditional];
    const needsNull = job.profile === "native" && plan.unconditional.some((half) => half.row === undefined);
    const nullEmbedding = needsNull ? await readNullEmbedding(this.#opened) : undefined;
    return unet.prepare({
      context: await contextOf(unet, plan, hidden, job.profile, nullEmbedding),
      ...unetMasks(halves, plan.paddedLength, job.profile),
      times: evaluationTimes(ladder),
      height: job.height / this.info.cell,
      width: job.width / this.info.cell,
    });
  }
}

function checkSame({ folder, fingerprint }: ModelInfo, resume: RunState): void {
  if (fingerprint === resume.fingerprint) return;
  throw new KandinskyError("model_config", {
    what: "the model has changed since the run was stopped",
    where: folder,
    seen: fingerprint,
    wanted: resume.fingerprint,
    hint: "put the old files back, or begin anew without --resume",
  });
}

/** As `checkPicture`, with the place in the decoder. */
async function checkDrawn(picture: Picture, blame: () => Promise<string>): Promise<void> {
  try {
    checkPicture(picture);
  } catch (error) {
    if (!(error instanceof KandinskyError)) throw error;
    throw new KandinskyError(error.code, { ...error.parts, where: await blame() });
  }
}

function previewsOf(x0: Tensor<"float32">, draw: (x0: Tensor<"float32">) => Picture): Picture[] {
  return Array.from({ length: x0.shape[0]! }, (_, k) => draw(row(x0, k)));
}

/** Pictures that are drawn together. A resumed group stays as it was; `joint` keeps all in one. */
function groupsOf(
  job: Job,
  done: ReadonlySet<number>,
  resume: RunState | undefined,
  cell: number,
): PictureJob[][] {
  const current = new Set(resume?.current?.pictures ?? []);
  const left = job.pictures.filter(({ index }) => !done.has(index) && !current.has(index));
  const cells = (job.width / cell) * (job.height / cell);
  const size =
    job.batchText === "joint"
      ? job.pictures.length
      : Math.max(1, Math.min(PICTURES_TOGETHER, Math.floor(CELLS_TOGETHER / cells)));
  const groups = current.size > 0 ? [job.pictures.filter(({ index }) => current.has(index))] : [];
  for (let at = 0; at < left.length; at += size) groups.push(left.slice(at, at + size));
  return groups;
}
