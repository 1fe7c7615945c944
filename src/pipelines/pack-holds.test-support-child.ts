import { join } from "node:path";
import { readSafetensorsHeader, readTensorAsFloat32 } from "../checkpoint/mod.ts";
import { add, buildGraph, matmul } from "../graph/mod.ts";
import { foldWeights } from "../passes/mod.ts";
import { PackStore } from "./packing.node.ts";

/**
 * `node pack-holds.test-support-child.js ROOT NAME TURNS`: in each turn packs weights [4,4] that the adapter of this name
 * changes, and reads them. Prints how many turns went well; ends by itself before it gives back the last.
 */
const [root, name, turns] = process.argv.slice(2) as [string, string, string];

const extra = `lora:${name}`;
const folded = foldWeights(
  buildGraph((b) => {
    const changed = add(b.parameter("weight", [4, 4]), b.parameter(extra, [4, 4]));
    return { y: matmul(b.input("x", "float32", [1, 4]), changed) };
  }),
);
const { entries } = await readSafetensorsHeader(join(root, "unet", "weights.safetensors"));
const adapter = {
  id: name,
  entries: new Map([[extra, entries.get("weight")!]]),
  pass: { name: "none", run: (graph: typeof folded.graph) => graph },
};
const part = { name: "unet", folder: join(root, "unet"), entries, adapters: [adapter] };
for (let turn = 1; turn <= Number(turns); turn++) {
  const store = new PackStore(root, true, () => {});
  const places = [...(await store.place(part, folded)).values()];
  // Time for others to remove it.
  await new Promise((done) => setTimeout(done, 2));
  const { data } = await readTensorAsFloat32(places[0]!);
  if (data.some((value) => value !== 2)) throw new Error(`read ${data.join()} in turn ${turn}`);
  if (turn < Number(turns)) await store.dispose();
}
console.log(turns);
