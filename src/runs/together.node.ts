import { createHash } from "node:crypto";
import { KandinskyError } from "../base/mod.ts";
import type { Tensor } from "../tensor/mod.ts";
import type { SumOver } from "../train/mod.ts";

/** What all processes of a run must have in common before its first update. */
export interface Beginning {
  readonly essentials: unknown;
  readonly update: number;
  readonly cursor: unknown;
  readonly parameters: ReadonlyMap<string, Tensor>;
}

/**
 * Throws `option_invalid` in every process that begins with other values than the mean of all: another config, another
 * checkpoint, another model. To be called by all of them.
 */
export async function checkBeginning(beginning: Beginning, folder: string, sum: SumOver): Promise<void> {
  const hash = createHash("sha256");
  const { parameters, ...plain } = beginning;
  hash.update(JSON.stringify(plain));
  for (const [name, { data }] of parameters) {
    hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  // Bytes, since sums are float32: of up to 65,793 processes they are exact.
  const own = [...hash.digest()];
  const sums = await sum([...own, 1]);
  const count = sums.at(-1)!;
  if (own.every((byte, i) => sums[i] === byte * count)) return;
  throw new KandinskyError("option_invalid", {
    what: "the processes do not begin with the same config, checkpoint and weights",
    where: folder,
    seen: `update ${beginning.update} here`,
    hint: "all machines must see the same files: the config, the model, the data and the folder of the run",
  });
}
