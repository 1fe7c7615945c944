import { Worker } from "node:worker_threads";
import { KandinskyError } from "../base/mod.ts";
import type { Answer, Question } from "./pool-entry.node.ts";

/** Threads that all do the same kind of job. */
export interface WorkerPool<Job, Result> {
  /** Gives the job to the thread with the least to do. Rejects with what the job threw. */
  run(job: Job): Promise<Result>;
  /** Ends the threads; jobs that are not done are rejected with `cancelled`. */
  close(): Promise<void>;
}

/** What a module for workers exports as `makeJob`: from what it was set up with to the work of one job. */
export type MakeJob<Setup, Job, Result> = (setup: Setup) => Promise<(job: Job) => Promise<Result>>;

interface Pending<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Starts `count` threads that load `module` (a file URL), call its `makeJob` with `setup`, and then do jobs. What
 * goes in and out is copied, but typed arrays of results change hands. Rejects where `makeJob` does.
 */
export async function openWorkerPool<Setup, Job, Result>(
  module: URL,
  setup: Setup,
  count: number,
): Promise<WorkerPool<Job, Result>> {
  const threads = Array.from({ length: count }, () => startThread<Job, Result>(module, setup));
  const close = async () => {
    await Promise.all(threads.map((thread) => thread.end()));
  };
  try {
    await Promise.all(threads.map((thread) => thread.ready));
  } catch (error) {
    await close();
    throw error;
  }
  return {
    run(job) {
      const least = threads.reduce((a, b) => (b.pending.size < a.pending.size ? b : a));
      return least.ask(job);
    },
    close,
  };
}

function startThread<Job, Result>(module: URL, setup: unknown) {
  const worker = new Worker(new URL("./pool-entry.node.js", import.meta.url), {
    workerData: { module: module.href, setup },
  });
  // A thread that waits for jobs must not keep the program alive; one that has jobs must.
  worker.unref();
  const pending = new Map<number, Pending<Result>>();
  let next = 0;
  let dead: unknown;
  const ready = new Promise<void>((resolve, reject) => {
    pending.set(READY, { resolve: () => resolve(), reject });
  });
  ready.catch(() => {});
  const settle = (id: number, use: (one: Pending<Result>) => void) => {
    const one = pending.get(id);
    pending.delete(id);
    if (pending.size === 0) worker.unref();
    if (one !== undefined) use(one);
  };
  const fail = (error: unknown) => {
    dead ??= error;
    for (const id of [...pending.keys()]) settle(id, ({ reject }) => reject(dead));
  };
  worker.ref();
  worker.on("message", (answer: Answer<Result>) => {
    settle(answer.id, ({ resolve, reject }) => {
      if ("result" in answer) resolve(answer.result);
      else reject(revive(answer));
    });
  });
  worker.on("error", (cause) => fail(died(String(cause), cause)));
  worker.on("exit", (code) => fail(died(`exit code ${code}`, undefined)));
  return {
    pending,
    ready,
    ask(job: Job): Promise<Result> {
      if (dead !== undefined) return Promise.reject(dead);
      const id = next++;
      return new Promise((resolve, reject) => {
        pending.set(id, { resolve, reject });
        worker.ref();
        worker.postMessage({ id, job } satisfies Question<Job>);
      });
    },
    async end() {
      dead ??= new KandinskyError("cancelled", { what: "the worker was closed" });
      fail(dead);
      await worker.terminate();
    },
  };
}

/** The id under which a thread says that it is set up. */
export const READY = -1;

function died(seen: string, cause: unknown): KandinskyError {
  return new KandinskyError(
    "engine_died",
    { what: "a worker thread ended by itself", seen, hint: "memory may have run out; try fewer workers" },
    { cause },
  );
}

/** An error as it was thrown in the thread. */
function revive(answer: Exclude<Answer<unknown>, { result: unknown }>): Error {
  const { code, parts, message } = answer;
  return code === undefined ? new Error(message) : new KandinskyError(code, parts!);
}
