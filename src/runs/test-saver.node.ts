import { float32 } from "../tensor/mod.ts";
import { saveCheckpoint } from "./checkpoint.node.ts";

// A process of its own that saves one checkpoint after the other, until the test kills it.
const [folder, last] = process.argv.slice(2) as [string, string];
for (let update = Number(last) + 1; ; update++) {
  const values = new Map([["w", float32([50_000], new Float32Array(50_000).fill(update))]]);
  const state = {
    updates: update,
    samples: update,
    parameters: values,
    first: values,
    second: values,
    averages: [values],
  };
  const essentials = { seed: 1, stages: [{ batch: 4 }] };
  await saveCheckpoint({ folder, essentials }, state, { update, cursor: 0, loss: 1 / update }, 2);
  process.send?.(update);
}
