import { appendFile, readFile, truncate } from "node:fs/promises";
import { join } from "node:path";
import { KandinskyError } from "../base/mod.ts";

/** Numbers by name. */
export type Figures = Readonly<Record<string, number>>;

/** One line of the log: an update of the run. */
export interface StepRecord {
  readonly update: number;
  readonly samples: number;
  readonly stage: string;
  readonly loss: number;
  /** Of the pictures, where it learns from pictures. */
  readonly width?: number;
  readonly height?: number;
  /** In diffusion: mean loss of the timesteps 0-99, 100-199 and so on of this batch; null where it had none. */
  readonly deciles?: readonly (number | null)[];
  /** What else this batch said, by name. */
  readonly figures?: Figures;
  /** What the averaged weights make of samples kept apart, by name, where they were asked. */
  readonly measured?: Figures;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly samplesPerSecond: number;
  /** Part of the time since the run was started that it waited for data. */
  readonly waiting: number;
  /** Seconds since the run was started. */
  readonly seconds: number;
}

const LOG = "log.jsonl";

/** Adds a line to the log of a run. Throws `disk_full` or `output_unwritable`. */
export async function appendRecord(folder: string, record: StepRecord): Promise<void> {
  const file = join(folder, LOG);
  await appendFile(file, `${JSON.stringify(record)}\n`).catch((cause: NodeJS.ErrnoException) => {
    const isFull = cause.code === "ENOSPC" || cause.code === "EDQUOT";
    throw new KandinskyError(
      isFull ? "disk_full" : "output_unwritable",
      {
        what: "cannot write the log of the run",
        where: file,
        seen: cause.code ?? cause.message,
        hint: "make room, then go on with --resume; the checkpoints before are whole",
      },
      { cause },
    );
  });
}

/** All lines of a log. One that was cut off when the machine stopped is left out. */
export async function readRecords(folder: string): Promise<StepRecord[]> {
  const text = await readFile(join(folder, LOG), "utf8").catch(() => "");
  return wholeLines(text).map((line) => JSON.parse(line) as StepRecord);
}

/** Cuts off what was logged after an update: a run that goes on from a checkpoint logs it again. */
export async function cutRecords(folder: string, update: number): Promise<void> {
  const text = await readFile(join(folder, LOG), "utf8").catch(() => "");
  const kept = wholeLines(text).filter((line) => (JSON.parse(line) as StepRecord).update <= update);
  const bytes = kept.reduce((sum, line) => sum + Buffer.byteLength(line) + 1, 0);
  if (text !== "") await truncate(join(folder, LOG), bytes);
}

function wholeLines(text: string): string[] {
  return text.split("\n").slice(0, -1);
}

const DECILES = 10;

/** Mean loss by tenth of the schedule of `count` timesteps. */
export function decilesOf(
  times: readonly number[],
  losses: ArrayLike<number>,
  count: number,
): (number | null)[] {
  const sums = new Array<number>(DECILES).fill(0);
  const seen = new Array<number>(DECILES).fill(0);
  times.forEach((time, i) => {
    const decile = Math.floor((time / count) * DECILES);
    sums[decile]! += losses[i]!;
    seen[decile]! += 1;
  });
  return sums.map((sum, i) => (seen[i] === 0 ? null : sum / seen[i]!));
}
