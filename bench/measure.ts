import { KandinskyError } from "../src/base/mod.ts";
import type { Engine } from "../src/runtime/mod.ts";
import type { Tensor } from "../src/tensor/mod.ts";
import type { Footprint } from "./jobs.ts";

/** Seconds that something takes, and what it gives. */
export async function timed<T>(
  work: () => Promise<T>,
): Promise<{ readonly seconds: number; readonly value: T }> {
  const start = performance.now();
  const value = await work();
  return { seconds: (performance.now() - start) / 1000, value };
}

/** Seconds of each of `count` runs. */
export async function repeated(count: number, work: () => Promise<unknown>): Promise<number[]> {
  const seconds: number[] = [];
  for (let i = 0; i < count; i++) seconds.push((await timed(work)).seconds);
  return seconds;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

const WATCH_MILLISECONDS = 50;

/** Looks at the engine's memory all the time until `stop`. That slows two cores down: nothing is timed meanwhile. */
export function watchMemory(engine: Engine): { stop(ready: number): Promise<Footprint> } {
  let peakPrivateBytes = 0;
  const look = async () => {
    const memory = await engine.memory();
    peakPrivateBytes = Math.max(peakPrivateBytes, memory.privateBytes);
    return memory;
  };
  const timer = setInterval(() => look().catch(() => {}), WATCH_MILLISECONDS);
  // Work that fails does not come to stop it.
  timer.unref();
  return {
    async stop(readyPrivateBytes) {
      clearInterval(timer);
      const { peakBytes } = await look();
      const ownPeakBytes = process.resourceUsage().maxRSS * 1024;
      return { readyPrivateBytes, peakPrivateBytes, peakBytes: peakBytes + ownPeakBytes };
    },
  };
}

/** Seconds of something that did not compute are worth nothing: throws `result_not_finite`. */
export function checkFinite(what: string, { data }: Tensor<"float32">): void {
  const at = data.findIndex((x) => !Number.isFinite(x));
  if (at < 0) return;
  throw new KandinskyError("result_not_finite", { what, where: `value ${at}`, seen: `${data[at]}` });
}
