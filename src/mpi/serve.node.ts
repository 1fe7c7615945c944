import type { MessagePort } from "node:worker_threads";
import { KandinskyError } from "../base/mod.ts";
import type { Communicator } from "./communicator.ts";
import { loadKoffi } from "./open.node.ts";
import type { Done, Greeting, Order } from "./thread.node.ts";

const VALUE_BYTES = 4;

/**
 * What a thread does for `openMpiThread`: joins the others as `open` does, then carries out orders, on memory of the
 * thread that gave them.
 */
export async function serve(port: MessagePort, open: () => Promise<Communicator>): Promise<void> {
  let world: Communicator;
  try {
    world = await open();
  } catch (error) {
    port.postMessage({ failure: failureOf(error) } satisfies Greeting);
    return;
  }
  const koffi = await loadKoffi();
  // One view of each place: a step sums the same places as the step before.
  const views = new Map<string, Float32Array>();
  const viewOf = (address: bigint, length: number): Float32Array => {
    const key = `${address} ${length}`;
    const view = views.get(key) ?? new Float32Array(koffi.view(address, length * VALUE_BYTES));
    views.set(key, view);
    return view;
  };
  port.on("message", ({ number, sum }: Order) => {
    const called = sum === undefined ? world.close() : world.sum(viewOf(sum.address, sum.length));
    called.then(
      () => port.postMessage({ number } satisfies Done),
      (error: unknown) => port.postMessage({ number, failure: failureOf(error) } satisfies Done),
    );
  });
  const { rank, size, library } = world;
  port.postMessage({ rank, size, library } satisfies Greeting);
}

function failureOf(error: unknown): Pick<KandinskyError, "code" | "parts"> {
  if (error instanceof KandinskyError) return { code: error.code, parts: error.parts };
  return { code: "engine_died", parts: { what: "the MPI library could not be used", seen: String(error) } };
}
