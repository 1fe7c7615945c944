import { randomInt } from "node:crypto";
import { KandinskyError } from "../base/mod.ts";
import { PROFILES } from "../diffusion/mod.ts";
import { type Device, processMemory, startEngine, watchMemory } from "../runtime/mod.ts";
import type { LoraChoice } from "./adapt.node.ts";
import { ladderOf } from "./denoise.node.ts";
import { CELLS_TOGETHER, drawGroup, type Running, TILES_TOGETHER } from "./draw.node.ts";
import { EMBEDDED_MODEL } from "./embedded.node.ts";
import { type Estimate, estimateJob, planIfLarge } from "./estimate.node.ts";
import type { GenerateEvent, Notice, RunState } from "./events.ts";
import { type Inputs, knownPictures, type OpenFile, openInputs, openLocalFile } from "./inputs.node.ts";
import type { Job, PictureJob } from "./job.ts";
import { SideEvents } from "./merge.ts";
import { type ModelInfo, type OpenedModel, openModel } from "./model.node.ts";
import { MovqRunner } from "./movq-runner.node.ts";
import { type OnPack, PackStore } from "./packing.node.ts";
import { passesFor } from "./passes.node.ts";
import type { JobPlan } from "./plan-job.node.ts";
import { countLoads } from "./program.node.ts";
import type { PictureRequest } from "./request.ts";
import { ResidentPrograms } from "./resident.node.ts";
import { parseRequest, resolveRequest } from "./resolve.ts";
import { prepareScene, type Scene, type SceneTools } from "./scene.node.ts";
import { MAX_TOKENS } from "./text.ts";
import { TextCache } from "./text-cache.node.ts";
import { UNetRunner } from "./unet-runner.node.ts";
import { mayName } from "./vocabulary.ts";

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
  /**
   * Bytes of memory that a run may take, mapped weights that are read again and again included; by default what this
   * machine, or the control group around this process, has free.
   */
  readonly memory?: number;
  /** Whether packed weights and encoded texts are kept beside the model (default), or removed at the end. */
  readonly cache?: boolean;
}

/** How one run ends early, or goes on from where an earlier one ended. */
export interface GenerateOptions {
  /** Ends the run at once; the iteration throws `cancelled`. */
  readonly signal?: AbortSignal;
  /** Goes on from a state that an earlier run of the same job told. */
  readonly resume?: RunState;
  /** Gives the files that the request names; by default from this machine. */
  readonly open?: OpenFile;
}

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
  /** The last plan: it takes seconds to make for a large model. */
  #planned: { readonly job: Job; readonly plan: Promise<JobPlan | undefined> } | undefined;

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

  /**
   * Fills in this model's defaults. Reads the pictures that the request names, by `open` or from this machine's files.
   * Throws for what cannot be drawn.
   */
  async resolve(request: PictureRequest, open: OpenFile = openLocalFile): Promise<Job> {
    const { info, scheduler } = this.#opened;
    const inputs = await openInputs(parseRequest(request), open);
    const defaults = { ...info, scheduler };
    const job = resolveRequest(request, defaults, () => randomInt(2 ** 32), knownPictures(inputs));
    // Whatever the steps cannot be laid out for is found before any work.
    ladderOf(job, scheduler);
    return job;
  }

  /**
   * Seconds that a job will take here, and how it will run, reckoned before it starts. Large jobs make the engine try
   * the machine's speed. Throws `memory_exceeded`, saying what fits.
   */
  async estimate(job: Job): Promise<Estimate> {
    return estimateJob(this.#opened, job, await this.#plan(job), async () => (await this.#start()).engine);
  }

  #plan(job: Job): Promise<JobPlan | undefined> {
    if (this.#planned?.job !== job) {
      this.#planned = { job, plan: this.#makePlan(job) };
    }
    return this.#planned.plan;
  }

  async #makePlan(job: Job): Promise<JobPlan | undefined> {
    const { memory } = this.#options;
    const running = await this.#running;
    const held = running === undefined ? undefined : await processMemory(running.engine.pid);
    const limit = { heldBytes: held?.privateBytes ?? 0, ...(memory === undefined ? {} : { bytes: memory }) };
    return planIfLarge(this.#opened, job, limit);
  }

  /**
   * Draws; one run at a time. Throws `memory_exceeded` before any work where there is no plan for the job, and
   * `model_config` where `resume` is of a model with other weights.
   */
  async *generate(
    request: PictureRequest | Job,
    { signal, resume, open = openLocalFile }: GenerateOptions = {},
  ): AsyncGenerator<GenerateEvent, void, void> {
    const job = "pictures" in request ? request : await this.resolve(request, open);
    if (resume !== undefined) checkSame(this.info, resume);
    const side = new SideEvents<GenerateEvent>();
    this.#onPack = (progress) => {
      // Thrown inside the writer, which then removes its unfinished file.
      if (signal?.aborted) throw new KandinskyError("cancelled", { what: "cancelled while packing weights" });
      side.push({ type: "pack", ...progress });
    };
    yield { type: "start", job };
    const plan = await this.#plan(job);
    if (plan !== undefined) yield { type: "plan", plan };
    const keepsLoaded = plan?.keepsLoaded ?? true;
    const inputs = await openInputs(job, open);
    const notices = [...this.#notices(job), ...inputs.notices];
    yield* notices.map((notice) => ({ type: "notice", ...notice }) as const);
    const stop = () => {
      this.#stopping = this.#stop();
    };
    signal?.addEventListener("abort", stop, { once: true });
    const pids = [process.pid];
    const watch = watchMemory(() => pids);
    try {
      if (signal?.aborted) throw new KandinskyError("cancelled", { what: "cancelled before the start" });
      const done = new Set(resume?.done ?? []);
      let scene: Scene | undefined;
      for (const group of groupsOf(job, done, resume, this.info.cell)) {
        const pictures = group.map(({ index }) => index);
        await this.#renew();
        yield { type: "stage", stage: "load", pictures };
        const running = await this.#start();
        pids.splice(1, 1, running.engine.pid);
        follow(running, plan);
        scene ??= yield* side.mergeInto(readScene(job, inputs, { ...this.info, movq: running.movq }));
        const run = { model: this.#opened, job, inputs, scene, done, resume, keepsLoaded };
        yield* side.mergeInto(drawGroup(run, running, group));
      }
      const peak = await watch.peak();
      if (peak !== undefined) yield { type: "memory", ...peak };
    } finally {
      watch.stop();
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
      textCache: new TextCache(this.info.folder, this.#options.cache ?? true),
      unet: new UNetRunner(workshop, unet.part, unet.config, passes),
      movq: new MovqRunner(workshop, movq.part, movq.config, passes),
    };
  }

  #makeStore(): PackStore {
    const { cache = true } = this.#options;
    return new PackStore(this.info.folder, cache, (progress) => this.#onPack(progress));
  }

  #notices(job: Job): Notice[] {
    const { vocabulary } = this.#opened;
    // Where nothing asks for a prompt, none is no surprise.
    const mayBeEmpty =
      job.operation === "inpaint" || job.operation === "extend" || job.operation === "upscale";
    const prompts =
      "sections" in job
        ? job.sections.map((prompt) => ({ index: 0, prompt }))
        : job.pictures.map(({ index, prompt }) => ({ index, prompt }));
    const notices = prompts.flatMap((picture): Notice[] => {
      const { ids, fullLength, unknown, characters } = this.#opened.tokenizer.encode(
        picture.prompt,
        MAX_TOKENS,
      );
      const cut = fullLength > ids.length;
      return [
        ...(characters === 0 && !mayBeEmpty
          ? [{ notice: "prompt-empty" as const, picture: picture.index }]
          : []),
        ...(cut
          ? [{ notice: "prompt-cut" as const, picture: picture.index, tokens: fullLength, limit: MAX_TOKENS }]
          : []),
        ...(unknown.length > 0
          ? [{ notice: "prompt-unknown" as const, picture: picture.index, unknown, characters }]
          : []),
        ...(vocabulary !== undefined && characters > 0 && !mayName(picture.prompt, vocabulary)
          ? [
              {
                notice: "prompt-outside" as const,
                picture: picture.index,
                subjects: vocabulary.length,
                folder: this.info.folder,
              },
            ]
          : []),
      ];
    });
    const off = job.guidance > 0 && !PROFILES[job.profile].guides(job.guidance);
    const { guidance, profile } = job;
    if (off) notices.push({ notice: "guidance-off", guidance, profile });
    if (job.operation === "inpaint" || job.operation === "extend") {
      notices.push({ notice: "inpainting", by: this.info.inpaints ? "nine-channels" : "blending" });
    }
    return notices;
  }
}

/** Tells the U-Net's runner how to keep what it loads. */
function follow({ unet }: Running, plan: JobPlan | undefined): void {
  const body = plan?.stages.findLast(({ part }) => part === "unet");
  unet.use(body?.precision ?? "float32", plan?.keepsLoaded ?? true);
}

/** `prepareScene`, told where there is something to read. */
async function* readScene(
  job: Job,
  inputs: Inputs,
  tools: SceneTools,
): AsyncGenerator<GenerateEvent, Scene, void> {
  const pictures = job.pictures.map(({ index }) => index);
  if (inputs.image !== undefined) yield { type: "stage", stage: "read", pictures };
  return prepareScene(job, inputs, tools);
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

/** Pictures that are drawn together. A resumed group stays as it was; `joint` keeps all in one. */
function groupsOf(
  job: Job,
  done: ReadonlySet<number>,
  resume: RunState | undefined,
  cell: number,
): PictureJob[][] {
  const current = new Set(resume?.current?.pictures ?? []);
  const left = job.pictures.filter(({ index }) => !done.has(index) && !current.has(index));
  const groups = current.size > 0 ? [job.pictures.filter(({ index }) => current.has(index))] : [];
  if ("windows" in job) return [...groups, ...left.map((picture) => [picture])];
  const cells = (job.canvas.width / cell) * (job.canvas.height / cell);
  const size =
    job.batchText === "joint"
      ? job.pictures.length
      : Math.max(1, Math.min(TILES_TOGETHER, Math.floor(CELLS_TOGETHER / cells)));
  for (let at = 0; at < left.length; at += size) groups.push(left.slice(at, at + size));
  return groups;
}
