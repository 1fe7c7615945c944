import type { Communicator } from "./communicator.ts";

/** One process that works alone, so that the same program serves one and many. `end` ends it with an exit code. */
export function soloCommunicator(end: (code: number) => never): Communicator {
  const nothing = () => Promise.resolve();
  return {
    rank: 0,
    size: 1,
    library: "none",
    sum: nothing,
    broadcast: nothing,
    barrier: nothing,
    abort: end,
    close: nothing,
  };
}
