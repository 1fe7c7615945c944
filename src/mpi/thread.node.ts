import { SHARE_ENV, Worker } from "node:worker_threads";
import { KandinskyError } from "../base/mod.ts";
import type { Communicator } from "./communicator.ts";
import { loadKoffi } from "./open.node.ts";

/** What the thread says first. */
export type Greeting =
  | Pick<Communicator, "rank" | "size" | "library">
  | { readonly failure: Pick<KandinskyError, "code" | "parts"> };

/** Values to sum, by their address, since they stay where they are; a goodbye where there are none. */
export interface Order {
  readonly number: number;
  readonly sum?: { readonly address: bigint; readonly length: number };
}

export interface Done {
  readonly number: number;
  readonly failure?: Pick<KandinskyError, "code" | "parts">;
}

/** The address of this module, for an engine's process to load; its default export joins the others. */
export function mpiModule(): URL {
  return new URL(import.meta.url);
}

/**
 * Joins the processes that `mpirun` started, from a thread of its own: sums go on, one after the other, while the
 * caller's thread is busy. `entry` is the thread's module, which calls `serve`. Throws what `openMpi` throws.
 */
export default async function openMpiThread(
  entry = new URL("./thread-entry.node.js", import.meta.url),
): Promise<Pick<Communicator, "rank" | "size" | "library" | "sum" | "close">> {
  const koffi = await loadKoffi();
  // UCX, below some libraries, reads this when it is loaded; a thread cannot set what the C library reads.
  process.env["UCX_MEM_EVENTS"] ??= "no";
  const worker = new Worker(entry, { env: SHARE_ENV });
  const greeting = await new Promise<Greeting>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  if ("failure" in greeting) throw new KandinskyError(greeting.failure.code, greeting.failure.parts);
  // Held until they are done: the thread knows addresses only.
  const waiting = new Map<
    number,
    { readonly values: Float32Array | undefined; readonly settle: (done: Done) => void }
  >();
  let last = 0;
  worker.on("message", (done: Done) => {
    const { settle } = waiting.get(done.number)!;
    waiting.delete(done.number);
    if (waiting.size === 0) worker.unref();
    settle(done);
  });
  worker.unref();
  const order = (values: Float32Array | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const number = ++last;
      const settle = ({ failure }: Done) =>
        failure === undefined ? resolve() : reject(new KandinskyError(failure.code, failure.parts));
      waiting.set(number, { values, settle });
      worker.ref();
      const sum =
        values === undefined ? {} : { sum: { address: koffi.address(values), length: values.length } };
      worker.postMessage({ number, ...sum } satisfies Order);
    });
  return { ...greeting, sum: order, close: () => order(undefined) };
}
