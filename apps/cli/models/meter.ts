/** How far a transfer is, and how it goes on. */
export interface Reading {
  readonly bytesPerSecond: number;
  /** Undefined before there is a speed. */
  readonly secondsLeft: number | undefined;
}

/** Speed is that of about this long: longer would not notice that the network has changed. */
const WINDOW_SECONDS = 8;

/** A meter that is told how much has come so far, and at what time in seconds; it tells the speed of late. */
export function startMeter(start: number): (fetched: number, left: number, now: number) => Reading {
  let samples = [{ at: start, fetched: 0 }];
  return (fetched, left, now) => {
    samples.push({ at: now, fetched });
    const recent = samples.findIndex(({ at }) => at >= now - WINDOW_SECONDS);
    // One sample beyond the window stays: a slow network may bring less than one in it.
    samples = samples.slice(Math.max(0, recent - 1));
    const [first] = samples as [{ at: number; fetched: number }];
    const bytesPerSecond = now > first.at ? (fetched - first.fetched) / (now - first.at) : 0;
    return { bytesPerSecond, secondsLeft: bytesPerSecond > 0 ? left / bytesPerSecond : undefined };
  };
}
