import { fork, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { KandinskyError } from "../../src/base/mod.ts";
import { decodePicture } from "../../src/image/mod.ts";
import { type JobPlan, packedBytes, removeTexts, type Stage } from "../../src/pipelines/mod.ts";
import type { Context } from "../compare.ts";
import { run } from "../processes.ts";
import { type LimitedGroup, makeGroup } from "./cgroup.ts";
import { writePublished } from "./published.ts";
import type { Samples } from "./sampler.ts";

/** What drawing one picture with the whole model took. */
export interface Full {
  readonly limitBytes: number;
  /** The control group that it ran in, or why there was none. */
  readonly group: { readonly version: 1 | 2; readonly maxBytes?: number; readonly ended?: number } | string;
  readonly side: number;
  readonly steps: number;
  readonly plan: JobPlan;
  /** From the start of the process to its end, the picture written. */
  readonly seconds: number;
  readonly packSeconds: number;
  readonly packedBytes: number;
  readonly stages: readonly StageFigures[];
  /** Seconds of every step. */
  readonly stepSeconds: readonly number[];
  /** The most private memory of all processes together, 20 looks a second. */
  readonly privateBytes: number;
  /** The same by the program itself, which looks ten times a second; it tells where the sampler got too little time. */
  readonly toldPrivateBytes: number;
  /** Looks a second that the sampler really had. */
  readonly looksPerSecond: number;
  /** VmHWM of the processes, largest first. */
  readonly residentBytes: readonly number[];
  /** Whether the model's files were out of the system's cache at the start. */
  readonly startsCold: boolean;
}

/** One stage: how long, and the most private memory meanwhile. */
export interface StageFigures {
  readonly stage: Stage;
  readonly seconds: number;
  readonly privateBytes: number;
}

const COMMAND = fileURLToPath(new URL("../../apps/cli/main.js", import.meta.url));
const SAMPLER = fileURLToPath(new URL("./sampler.js", import.meta.url));
const PROMPT = "a red cat on a blue roof under two moons, a watercolour";

/** Draws one picture with all weights of a model, prompt to file, in a control group with the memory limit. */
export async function full(context: Context): Promise<Full> {
  const { scale, scratch, threads, tell, signal, memory: limitBytes } = context;
  const model = join(context.model, "published");
  await writePublished(model, scale, tell, signal);
  await removeTexts(model);
  const startsCold = await forgetFiles(model, signal);
  const before = await packedBytes(model);
  const group = await makeGroup(limitBytes);
  if (typeof group === "string") tell(`full: no control group of ${limitBytes} bytes: ${group}`);
  const { side, steps } = scale.full;
  const output = join(scratch, "full.png");
  const options = {
    "--model": model,
    "--size": `${side}x${side}`,
    "--steps": steps,
    "--seed": 7,
    "--memory": `${Math.floor(limitBytes / 2 ** 20)}M`,
    "--threads": threads,
    "--output": output,
  };
  const args = [COMMAND, "generate", PROMPT, "--json", ...Object.entries(options).flat().map(String)];
  try {
    const drawn = await draw(
      [process.execPath, ...args],
      typeof group === "string" ? undefined : group,
      context,
    );
    const { width, height } = await decodePicture(await readFile(output), output);
    if (width !== side || height !== side) throw failed(`a picture of ${width}x${height}`);
    const { maxBytes, ended } =
      typeof group === "string" ? { maxBytes: undefined, ended: undefined } : await group.usage();
    return {
      limitBytes,
      group:
        typeof group === "string"
          ? group
          : {
              version: group.version,
              ...(maxBytes === undefined ? {} : { maxBytes }),
              ...(ended === undefined ? {} : { ended }),
            },
      side,
      steps,
      packedBytes: (await packedBytes(model)) - before,
      startsCold,
      ...drawn,
    };
  } finally {
    if (typeof group !== "string") await group.remove();
  }
}

/**
 * Takes the model's files out of the system's cache: pages that another group has read would not count in this one.
 * Whether that worked.
 */
async function forgetFiles(folder: string, signal: AbortSignal): Promise<boolean> {
  const names = await readdir(folder, { recursive: true });
  for (const name of names.filter((one) => one.endsWith(".safetensors"))) {
    const words = [`if=${join(folder, name)}`, "iflag=nocache", "count=0"];
    const { code } = await run("dd", words, signal).catch(() => ({ code: 1 }));
    if (code !== 0) return false;
  }
  return true;
}

/** An event as `--json` prints it. */
interface Event {
  readonly type: string;
  readonly at: number;
  readonly stage?: Stage;
  readonly plan?: JobPlan;
  readonly seconds?: number;
  readonly part?: string;
  readonly doneBytes?: number;
  readonly bytes?: number;
  readonly privateBytes?: number;
}

type Drawn = Pick<
  Full,
  | "plan"
  | "seconds"
  | "packSeconds"
  | "stages"
  | "stepSeconds"
  | "privateBytes"
  | "toldPrivateBytes"
  | "looksPerSecond"
  | "residentBytes"
>;

async function draw(
  words: readonly string[],
  group: LimitedGroup | undefined,
  { tell, signal }: Context,
): Promise<Drawn> {
  signal.throwIfAborted();
  const [program, ...args] = group === undefined ? words : group.enter(words);
  const start = Date.now();
  const child = spawn(program!, args, { signal, killSignal: "SIGKILL", stdio: ["ignore", "pipe", "pipe"] });
  const sampler = fork(SAMPLER, [group?.processes ?? `${child.pid}`], { serialization: "advanced" });
  const events: Event[] = [];
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  createInterface(child.stdout).on("line", (line) => {
    const event = { at: Date.now(), ...(JSON.parse(line) as Omit<Event, "at">) };
    events.push(event);
    if (event.stage !== undefined) tell(`full: ${event.stage}`);
    if (event.type === "step") tell(`full: a step in ${event.seconds?.toFixed(1)} s`);
  });
  const end = await new Promise<number | string>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, by) => resolve(by ?? code ?? 0));
  }).finally(() => {
    if (signal.aborted) sampler.kill("SIGKILL");
  });
  const samples = await new Promise<Samples>((resolve, reject) => {
    sampler.on("message", resolve);
    sampler.on("error", reject);
    sampler.send("stop");
  });
  // Where memory ran out the system ends a process, and with it the engine or all.
  if (end !== 0) throw failed(`${end}: ${errors.trim().split("\n").slice(-2).join(" ")}`);
  return figuresOf(events, samples, start, Date.now());
}

function figuresOf(events: readonly Event[], samples: Samples, start: number, end: number): Drawn {
  const plan = events.find(({ type }) => type === "plan")?.plan;
  if (plan === undefined) throw failed("no plan");
  const marks = events.filter((event) => event.stage !== undefined);
  const stages = marks.map(({ stage, at }, i): StageFigures => {
    const until = marks[i + 1]?.at ?? end;
    return { stage: stage!, seconds: (until - at) / 1000, privateBytes: mostWithin(samples, at, until) };
  });
  const packs = events.filter(({ type }) => type === "pack");
  const packSeconds = packs.reduce((sum, { at, part }, i) => {
    const before = packs[i - 1];
    return before?.part === part ? sum + (at - before!.at) / 1000 : sum;
  }, 0);
  const { times } = samples;
  return {
    plan,
    seconds: (end - start) / 1000,
    packSeconds,
    stages,
    stepSeconds: events.flatMap(({ type, seconds }) => (type === "step" ? [seconds!] : [])),
    privateBytes: mostWithin(samples, start, end),
    toldPrivateBytes: events.find(({ type }) => type === "memory")?.privateBytes ?? 0,
    looksPerSecond: times.length / ((times.at(-1)! - times[0]!) / 1000),
    residentBytes: Object.values(samples.residentBytes).sort((a, b) => b - a),
  };
}

function mostWithin({ times, privateBytes }: Samples, from: number, to: number): number {
  return times.reduce(
    (most, time, i) => (time >= from && time <= to ? Math.max(most, privateBytes[i]!) : most),
    0,
  );
}

function failed(seen: string): KandinskyError {
  return new KandinskyError("engine_died", { what: "the whole pipeline did not draw", seen });
}
