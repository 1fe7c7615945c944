import { parentPort, workerData } from "node:worker_threads";
import { type ErrorCode, type ErrorParts, KandinskyError } from "../base/mod.ts";
import { type MakeJob, READY } from "./pool.node.ts";

/** What a thread is asked. */
export interface Question<Job> {
  readonly id: number;
  readonly job: Job;
}

/** What it answers: a result, or an error in parts, since an error's class does not cross threads. */
export type Answer<Result> =
  | { readonly id: number; readonly result: Result }
  | {
      readonly id: number;
      readonly message: string;
      readonly code: ErrorCode | undefined;
      readonly parts: ErrorParts | undefined;
    };

// This file is the start of a thread, and nothing but its types is imported elsewhere.
const port = parentPort!;
const { module, setup } = workerData as { module: string; setup: unknown };
const make = import(module).then(({ makeJob }: { makeJob: MakeJob<unknown, unknown, unknown> }) =>
  makeJob(setup),
);
port.on("message", ({ id, job }: Question<unknown>) => answer(id, async () => (await make)(job)));
await answer(READY, async () => {
  await make;
});

async function answer(id: number, work: () => Promise<unknown>): Promise<void> {
  try {
    const result = await work();
    port.postMessage({ id, result } satisfies Answer<unknown>, buffersIn(result));
  } catch (error) {
    const { code, parts } = error instanceof KandinskyError ? error : { code: undefined, parts: undefined };
    const message = error instanceof Error ? error.message : String(error);
    port.postMessage({ id, message, code, parts } satisfies Answer<unknown>);
  }
}

/** The buffers of typed arrays up to two levels down that belong to one array alone. */
function buffersIn(value: unknown, depth = 0): ArrayBuffer[] {
  if (ArrayBuffer.isView(value)) {
    const whole = value.buffer instanceof ArrayBuffer && value.byteLength === value.buffer.byteLength;
    return whole ? [value.buffer as ArrayBuffer] : [];
  }
  if (typeof value !== "object" || value === null || depth > 2) return [];
  return [...new Set(Object.values(value).flatMap((item) => buffersIn(item, depth + 1)))];
}
