import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { openPart, writeSafetensors } from "../../src/checkpoint/mod.ts";
import { bindUNet } from "../../src/pipelines/mod.ts";
import { keyOf } from "../../src/random/mod.ts";
import type { Context } from "../compare.ts";
import type { Job, StepCase, StepResult } from "../jobs.ts";
import { median } from "../measure.ts";
import { visitOurs, visitPeer } from "../processes.ts";
import { feedsOf } from "../visits/step.ts";

/** What PyTorch said of the same steps. */
export interface TorchStep {
  readonly name: string;
  readonly seconds: readonly number[];
  readonly peakBytes: number;
  readonly losses: readonly number[];
}

export interface TrainRow {
  readonly ours: Omit<StepResult, "gradients">;
  readonly torch?: TorchStep;
  /** PyTorch's seconds over ours, in each round. */
  readonly ratios?: readonly number[];
  /** Largest difference of the losses, step by step. */
  readonly worstLoss?: number;
}

export interface Train {
  readonly rows: readonly TrainRow[];
  /** The caching allocator that PyTorch ran with. */
  readonly allocator?: string;
  /** Why PyTorch has no figures. */
  readonly failure?: string;
}

/** Rounds of ours, PyTorch, ours, PyTorch: whatever the machine does meanwhile meets both. */
const ROUNDS_WITH_PEER = 2;

/** Steps of a small U-Net, each side and case in a process of its own, so that its memory is its own too. */
export async function train(context: Context): Promise<Train> {
  const { scale, python } = context;
  const { config } = bindUNet(await openPart(scale.trained));
  const allocator = python === undefined ? undefined : cachingAllocator();
  const rows: TrainRow[] = [];
  let failure: string | undefined;
  for (const one of scale.train) {
    const found = await measure(context, one, config, allocator);
    rows.push(found.row);
    failure ??= found.failure;
  }
  return {
    rows,
    ...(allocator === undefined ? {} : { allocator }),
    ...(failure === undefined ? {} : { failure }),
  };
}

async function measure(
  { scale, scratch, python, signal, threads, tell }: Context,
  one: StepCase,
  config: { readonly inChannels: number; readonly encoderHidDim: number },
  allocator: string | undefined,
): Promise<{ readonly row: TrainRow; readonly failure?: string }> {
  const inputs = join(scratch, "train-inputs.safetensors");
  const feeds = feedsOf(one, config.inChannels, config.encoderHidDim, keyOf(1));
  const named = Object.entries(feeds).map(([name, tensor]) => ({ name: `${one.name}/${name}`, tensor }));
  await writeSafetensors(inputs, named, {});
  const outputs = join(scratch, "train-outputs.safetensors");
  const job: Job<"step"> = { kind: "step", model: scale.trained, inputs, outputs, threads, cases: [one] };
  const ours: StepResult[] = [];
  const torch: TorchStep[] = [];
  let failure: string | undefined;
  const rounds = python === undefined ? 1 : ROUNDS_WITH_PEER;
  for (let round = 0; round < rounds; round++) {
    const told = (line: string) => tell(`train, round ${round + 1} of ${rounds}: ${line}`);
    ours.push(...(await visitOurs(job, told, signal)));
    if (python === undefined || failure !== undefined) continue;
    const environment = allocator === undefined ? {} : { LD_PRELOAD: allocator };
    const peer = await visitPeer(python, job, told, signal, environment);
    if ("failure" in peer) failure = peer.failure;
    else torch.push(...(peer.cases as readonly TorchStep[]));
  }
  await Promise.all([inputs, outputs].map((file) => rm(file, { force: true })));
  const { gradients: _, ...first } = ours[0]!;
  const merged = { ...first, seconds: ours.flatMap(({ seconds }) => seconds), peakBytes: most(ours) };
  if (torch.length === 0) return { row: { ours: merged }, ...(failure === undefined ? {} : { failure }) };
  return {
    row: {
      ours: merged,
      torch: { ...torch[0]!, seconds: torch.flatMap(({ seconds }) => seconds), peakBytes: most(torch) },
      ratios: torch.map(({ seconds }, i) => median(seconds) / median(ours[i]!.seconds)),
      worstLoss: Math.max(...first.losses.map((loss, i) => Math.abs(loss - torch[0]!.losses[i]!))),
    },
  };
}

function most(rounds: readonly { readonly peakBytes: number }[]): number {
  return Math.max(...rounds.map(({ peakBytes }) => peakBytes));
}

const LIBRARY_FOLDERS = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
const ALLOCATORS = ["libtcmalloc_minimal.so.4", "libtcmalloc.so.4", "libjemalloc.so.2"];

/** PyTorch's steps are a fifth faster with one: whatever is preloaded already, or one that the system has. */
function cachingAllocator(): string | undefined {
  const given = process.env["LD_PRELOAD"];
  if (given !== undefined && given !== "") return given;
  return LIBRARY_FOLDERS.flatMap((folder) => ALLOCATORS.map((name) => join(folder, name))).find(existsSync);
}
