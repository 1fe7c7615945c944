import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Tensor } from "../src/tensor/mod.ts";
import { type Difference, differenceOf, readOne, writeInputs } from "./inputs.ts";
import type { Cases, Job, Kind, Results, Timed } from "./jobs.ts";
import { median } from "./measure.ts";
import { type Peer, visitOurs, visitPeer } from "./processes.ts";
import type { Scale } from "./scale.ts";

/** What every group gets. */
export interface Context {
  readonly scale: Scale;
  /** Folder of the model with seeded weights. */
  readonly model: string;
  /** Folder for inputs and outputs. */
  readonly scratch: string;
  readonly threads: number;
  /** Bytes that the whole pipeline may take. */
  readonly memory: number;
  /** The Python that has diffusers. */
  readonly python: string | undefined;
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}

/** One case of ours and of diffusers. */
export interface Row<K extends Kind> {
  /** All rounds together: every repeat's seconds; of memory and loading the most of any round. */
  readonly ours: Results[K];
  /** Absent without `--python`. */
  readonly diffusers?: Timed;
  /** How often ours fits into the time of diffusers, in each round. */
  readonly ratios?: readonly number[];
  readonly difference?: Difference;
}

export interface Comparison<K extends Kind> {
  readonly rows: readonly Row<K>[];
  /** Why diffusers has no figures. */
  readonly failure?: string;
}

/** Rounds of ours, diffusers, ours, diffusers: whatever the machine does meanwhile meets both. */
const ROUNDS_WITH_PEER = 2;

/**
 * Measures all cases of a kind, each side in a process of its own that is gone before the other starts: the two
 * full-size models do not fit into memory together. `secondsOf` says what of ours is the same work.
 */
export async function compare<K extends Kind>(
  context: Context,
  kind: K,
  cases: readonly Cases[K][],
  secondsOf: (ours: Results[K]) => number,
  model = context.model,
): Promise<Comparison<K>> {
  const { scratch, python, signal, threads, tell, scale } = context;
  const [inputs, outputs, peerOutputs] = ["inputs", "ours", "diffusers"].map((name) =>
    join(scratch, `${kind}-${name}.safetensors`),
  ) as [string, string, string];
  await writeInputs(inputs, kind, cases, scale);
  const job: Job<K> = { kind, model, inputs, outputs, threads, cases };
  const ours: Results[K][][] = [];
  const theirs: (readonly Timed[])[] = [];
  let failure: string | undefined;
  const rounds = python === undefined ? 1 : ROUNDS_WITH_PEER;
  for (let round = 0; round < rounds; round++) {
    const told = (line: string) => tell(`${kind}, round ${round + 1} of ${rounds}: ${line}`);
    ours.push(await visitOurs(job, told, signal));
    if (python === undefined || failure !== undefined) continue;
    const peer: Peer = await visitPeer(python, { ...job, outputs: peerOutputs } as Job, told, signal);
    if ("failure" in peer) failure = peer.failure;
    else theirs.push(peer.cases);
  }
  const rows = await Promise.all(
    cases.map(async ({ name }, i): Promise<Row<K>> => {
      const own = ours.map((results) => results[i]!);
      const merged = merge(own);
      if (theirs.length === 0) return { ours: merged };
      const seconds = theirs.map((results) => results[i]!.seconds);
      const read = async (file: string) => (await readOne(file, name)) as Tensor<"float32">;
      return {
        ours: merged,
        diffusers: { name, seconds: seconds.flat() },
        ratios: seconds.map((all, round) => median(all) / secondsOf(own[round]!)),
        difference: differenceOf(await read(outputs), await read(peerOutputs)),
      };
    }),
  );
  for (const file of [inputs, outputs, peerOutputs]) await rm(file, { force: true });
  return { rows, ...(failure === undefined ? {} : { failure }) };
}

/** Rounds of one case as one result. */
function merge<R extends Timed>(rounds: readonly R[]): R {
  const merged = Object.entries(rounds[0]!).map(([field, first]) => {
    const values = rounds.map((round) => round[field as keyof R]);
    if (Array.isArray(first)) return [field, values.flat()];
    return [field, typeof first === "number" ? Math.max(...(values as number[])) : first];
  });
  return Object.fromEntries(merged);
}
