import type { StoreEvent } from "../../../src/store/mod.ts";
import { type Context, print } from "../context.ts";
import { startProgress } from "../progress.ts";
import { formatBytes, formatDuration } from "../units.ts";
import { startMeter } from "./meter.ts";

/** Shows a download or a check while it goes on. */
export interface Teller {
  readonly onEvent: (event: StoreEvent) => void;
  /** A line that stays: for people only. */
  readonly say: (line: string) => void;
  readonly clear: () => void;
}

const BAR_MILLISECONDS = 100;
const JSON_MILLISECONDS = 500;
/** Shorter waits pass unsaid. */
const NOTABLE_SECONDS = 2;

/** A bar with bytes, speed and time left on standard error, or events on standard output. */
export function startTeller(context: Context, json: boolean): Teller {
  return json ? jsonTeller(context) : barTeller(context);
}

function jsonTeller(context: Context): Teller {
  const meter = startMeter(seconds());
  let at = Number.NEGATIVE_INFINITY;
  return {
    say: () => {},
    clear: () => {},
    onEvent: (event) => {
      const isProgress = event.type === "bytes" || event.type === "check";
      if (isProgress && event.done < event.total && performance.now() - at < JSON_MILLISECONDS) return;
      if (isProgress) at = performance.now();
      const speed = event.type === "bytes" ? meter(event.fetched, event.total - event.done, seconds()) : {};
      print(context, JSON.stringify({ ...event, ...speed }));
    },
  };
}

function barTeller(context: Context): Teller {
  const { text, language } = context;
  const { models: t } = text;
  const progress = startProgress(context);
  const meter = startMeter(seconds());
  const bytes = (count: number) => formatBytes(count, language);
  let at = Number.NEGATIVE_INFINITY;
  const onEvent = (event: StoreEvent) => {
    if (event.type === "wait") {
      if (event.seconds < NOTABLE_SECONDS) return;
      progress.say(t.waiting(formatDuration(event.seconds, language), event.reason));
    }
    if (event.type !== "bytes" && event.type !== "check") return;
    if (performance.now() - at < BAR_MILLISECONDS) return;
    at = performance.now();
    const { done, total } = event;
    const share = { fraction: done / Math.max(total, 1) };
    const amount = `${bytes(done)} / ${bytes(total)}`;
    if (event.type === "check") {
      progress.update({ label: t.checking, detail: amount, ...share });
      return;
    }
    const { bytesPerSecond, secondsLeft } = meter(event.fetched, total - done, seconds());
    progress.update({
      label: t.downloading,
      detail: `${amount}, ${t.speed(bytes(bytesPerSecond))}`,
      ...share,
      ...(secondsLeft === undefined ? {} : { secondsLeft }),
    });
  };
  return { onEvent, say: progress.say, clear: progress.clear };
}

function seconds(): number {
  return performance.now() / 1000;
}
