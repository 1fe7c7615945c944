/**
 * MPI with a slow wire: an engine loads this module as its collective, and the module starts itself again as the thread
 * that calls MPI. A sum of three numbers, [milliseconds, elements, 0], says how long sums of so many elements take
 * from then on, beside what they take anyway; they still come one after the other.
 */
import { setTimeout } from "node:timers/promises";
import { isMainThread, parentPort } from "node:worker_threads";
import { type Communicator, openMpi, openMpiThread, serve } from "../../src/mpi/mod.ts";

/** How many numbers set the wire's speed. */
const SETTING = 3;

export default () => openMpiThread(new URL(import.meta.url));

function slowed(world: Communicator): Communicator {
  let perElement = 0;
  let last: Promise<void> = Promise.resolve();
  const sum = async (values: Float32Array): Promise<void> => {
    await world.sum(values);
    if (values.length === SETTING) perElement = values[0]! / values[1]!;
    else if (perElement > 0) await setTimeout(perElement * values.length);
  };
  return {
    ...world,
    sum(values) {
      last = last.then(() => sum(values));
      return last;
    },
  };
}

if (!isMainThread) await serve(parentPort!, async () => slowed(await openMpi()));
