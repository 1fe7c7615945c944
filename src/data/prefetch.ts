import { KandinskyError } from "../base/mod.ts";

/** How long the taker has waited. */
export interface Waiting {
  readonly taken: number;
  /** Milliseconds inside `next`. */
  readonly waited: number;
  /** Milliseconds since the first call of `next`. */
  readonly total: number;
  /** Part of the time that was spent waiting, 0 to 1, the first item not counted: nothing was made before it. */
  readonly share: number;
}

export interface Prefetched<T> {
  /** The next item, in order. Throws what making it threw, again at every later call, and `cancelled` once stopped. */
  next(): Promise<T>;
  waiting(): Waiting;
  /** Makes no more; what is being made is let go. */
  stop(): void;
}

/**
 * Makes items ahead of their use: `make(first)`, `make(first + 1)` and so on, up to `depth` at once, handed out in
 * that order whatever is ready first. `now` is a clock in milliseconds.
 */
export function prefetch<T>(
  make: (index: number) => Promise<T>,
  { first, depth, now }: { first: number; depth: number; now: () => number },
): Prefetched<T> {
  const ahead: Promise<T>[] = [];
  let index = first;
  let stopped = false;
  let failure: { error: unknown } | undefined;
  const fill = () => {
    while (!stopped && failure === undefined && ahead.length < depth) {
      const item = make(index++);
      // Its failure is met when its turn comes; until then nobody listens.
      item.catch(() => {});
      ahead.push(item);
    }
  };
  let taken = 0;
  let waited = 0;
  let firstWait = 0;
  let began: number | undefined;
  fill();
  return {
    async next() {
      if (failure !== undefined) throw failure.error;
      if (stopped) throw new KandinskyError("cancelled", { what: "nothing is made ahead any more" });
      const asked = now();
      began ??= asked;
      fill();
      try {
        return await ahead.shift()!;
      } catch (error) {
        failure = { error };
        throw error;
      } finally {
        const spent = now() - asked;
        if (taken++ === 0) firstWait = spent;
        waited += spent;
        fill();
      }
    },
    waiting() {
      const total = began === undefined ? 0 : now() - began;
      const counted = total - firstWait;
      return { taken, waited, total, share: counted <= 0 ? 0 : (waited - firstWait) / counted };
    },
    stop() {
      stopped = true;
      ahead.length = 0;
    },
  };
}
