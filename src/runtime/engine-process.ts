/**
 * The engine's process: the only file that loads ONNX Runtime. Started by `connection.ts`; reads requests from
 * the pipe and answers each in turn.
 */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import type * as Ort from "onnxruntime-node";
import { KandinskyError, product } from "../base/mod.ts";
import { ARRAY_OF, type Tensor } from "../tensor/mod.ts";
import { deviceAbsent } from "./absence.ts";
import { PROBE_MODEL } from "./probe-model.ts";
import type { Answer, CallName, Calls, Request } from "./protocol.ts";
import {
  fromRuntime,
  type LoadedProgram,
  loadProgram,
  runProgram,
  type SessionSettings,
  toRuntime,
} from "./sessions.ts";
import type { Collective } from "./types.ts";

type Handlers = {
  readonly [K in CallName]: (params: Calls[K]["params"]) => Promise<Calls[K]["answer"]>;
};

function makeHandlers(): Handlers {
  const require = createRequire(import.meta.url);
  const programs = new Map<number, LoadedProgram>();
  const held = new Map<number, Ort.Tensor>();
  let settings: SessionSettings;
  let collective: Collective | undefined;
  let lastNumber = 0;

  const hold = (tensor: Ort.Tensor): number => {
    lastNumber += 1;
    held.set(lastNumber, tensor);
    return lastNumber;
  };

  return {
    async start({ device, threads, collective: module }) {
      const symptoms = { platform: process.platform, arch: process.arch, listed: false, cudaLibrary: false };
      try {
        const ort = require("onnxruntime-node") as typeof Ort;
        symptoms.listed = ort.listSupportedBackends().some(({ name }) => name === device);
        symptoms.cudaLibrary = existsSync(cudaLibrary(require.resolve("onnxruntime-node")));
        settings = { ort, device, threads };
        await probe(settings);
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        throw deviceAbsent(device, { ...symptoms, message });
      }
      if (module === undefined) return {};
      const { default: open } = (await import(module)) as { readonly default: () => Promise<Collective> };
      collective = await open();
      const { rank, size, library } = collective;
      return { peers: { rank, size, library } };
    },

    async load(source) {
      const program = await loadProgram(settings, source);
      // The bytes of models and of tensors that came through the pipe.
      collectGarbage();
      lastNumber += 1;
      programs.set(lastNumber, program);
      return { program: lastNumber, inputs: program.inputs, outputs: program.outputs };
    },

    async run({ program, feeds, fetches }) {
      const { ort } = settings;
      const values = Object.entries(feeds).map(([name, feed]) => [
        name,
        "held" in feed ? held.get(feed.held)! : toRuntime(ort, feed),
      ]);
      return runProgram(ort, programs.get(program)!, Object.fromEntries(values), fetches, { hold, held });
    },

    async hold({ dtype, shape, ...given }) {
      const data = "data" in given ? given.data : new ARRAY_OF[dtype](product(shape));
      return { held: hold(toRuntime(settings.ort, { dtype, shape, data })) };
    },

    async view({ held: number, start, shape }) {
      const whole = fromRuntime(held.get(number)!);
      const data = whole.data.subarray(start, start + product(shape)) as Tensor["data"];
      return { held: hold(toRuntime(settings.ort, { dtype: whole.dtype, shape, data })) };
    },

    async write({ held: number, data }) {
      // Of one type, which the parent has checked.
      (fromRuntime(held.get(number)!).data as Float32Array).set(data as Float32Array);
      return null;
    },

    async read({ held: number }) {
      return fromRuntime(held.get(number)!);
    },

    async sum({ held: number }) {
      await collective!.sum(fromRuntime(held.get(number)!).data as Float32Array);
      return null;
    },

    async leave() {
      await collective!.close();
      return null;
    },

    async releaseProgram({ program }) {
      await programs.get(program)!.session.release();
      programs.delete(program);
      collectGarbage();
      return null;
    },

    async releaseHeld({ held: numbers }) {
      for (const number of numbers) held.delete(number);
      collectGarbage();
      return null;
    },

    async memory() {
      return {
        privateBytes: process.memoryUsage().rss,
        peakBytes: process.resourceUsage().maxRSS * 1024,
      };
    },
  };
}

/** Runs the smallest model on the device alone: creating a session does not show every missing part. */
async function probe(settings: SessionSettings): Promise<void> {
  const program = await settings.ort.InferenceSession.create(PROBE_MODEL, {
    executionProviders: [settings.device],
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
    ...(settings.device === "cpu" ? {} : { extra: { "session.disable_cpu_ep_fallback": "1" } }),
  });
  await program.run({ x: new settings.ort.Tensor("float32", [1], [1]) });
  await program.release();
}

/** Where ONNX Runtime's install script puts the CUDA library; `main` is the package's `dist/index.js`. */
function cudaLibrary(main: string): string {
  const root = dirname(dirname(main));
  return join(root, "bin/napi-v6", process.platform, process.arch, "libonnxruntime_providers_cuda.so");
}

/**
 * Tensors free their native memory when collected, and the collector does not see how large they are.
 * It frees them on a thread of its own, some milliseconds after this returns.
 */
function collectGarbage(): void {
  globalThis.gc?.();
}

/**
 * Ends this process when its parent is gone. The `disconnect` event alone would wait for the current run,
 * which blocks this thread for as long as a minute; this watch is a thread of its own. The parent's number
 * changes when it dies, except on Windows, where the number just stops to exist.
 */
function watchParent(parent: number): void {
  const watch = `
    const { workerData: parent } = require("node:worker_threads");
    setInterval(() => {
      try {
        process.kill(parent, 0);
        if (process.ppid === parent) return;
      } catch (error) {
        if (error.code !== "ESRCH") return;
      }
      process.kill(process.pid, "SIGKILL");
    }, 500);
  `;
  new Worker(watch, { eval: true, workerData: parent }).unref();
}

function failureOf(error: unknown): { code: KandinskyError["code"]; parts: KandinskyError["parts"] } {
  if (error instanceof KandinskyError) return { code: error.code, parts: error.parts };
  return { code: "graph_invalid", parts: { what: "the engine failed", seen: String(error) } };
}

/** What later requests do not wait for. */
const BACKGROUND: ReadonlySet<CallName> = new Set(["sum"]);

async function answerTo(handlers: Handlers, { id, call, params }: Request): Promise<Answer> {
  try {
    const handler = handlers[call] as (params: unknown) => Promise<Calls[CallName]["answer"]>;
    return { id, value: await handler(params) };
  } catch (error) {
    return { id, failure: failureOf(error) };
  }
}

function main(): void {
  const handlers = makeHandlers();
  const parent = process.ppid;
  let turn: Promise<void> = Promise.resolve();
  process.on("message", (request: Request) => {
    turn = turn.then(async () => {
      const answered = answerTo(handlers, request).then((answer) => process.send?.(answer));
      if (!BACKGROUND.has(request.call)) await answered;
      if (request.call === "start") watchParent(parent);
    });
  });
  // An exit would wait for threads, and one may be in a sum that never ends.
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  // Ctrl-C reaches every process of the terminal, what mpirun sends at its end every one of a group; the parent decides.
  for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => {});
}

main();
