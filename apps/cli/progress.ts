import { type Context, styled } from "./context.ts";
import { formatDuration } from "./units.ts";

/** What goes on at the moment. */
export interface Status {
  /** What is being done: "drawing". */
  readonly label: string;
  /** How far: "step 3/25". */
  readonly detail?: string;
  /** 0 to 1. */
  readonly fraction?: number;
  readonly secondsLeft?: number;
}

/** Tells on standard error how work goes on. */
export interface Progress {
  /** A line that stays. */
  readonly say: (line: string) => void;
  readonly update: (status: Status) => void;
  /** Shows a text that draws a picture of that many lines below the bar, over the one before. */
  readonly show: (picture: string, lines: number) => void;
  /** Takes the bar away. */
  readonly clear: () => void;
}

/** A bar in one line of a terminal; elsewhere now and then a plain line. */
export function startProgress(context: Context): Progress {
  return context.stderr.isTTY && context.env["TERM"] !== "dumb"
    ? barProgress(context)
    : lineProgress(context);
}

const BAR_WIDTH = 24;

function barProgress(context: Context): Progress {
  const { stderr } = context;
  let shown = "";
  let reserved = 0;
  const draw = (line: string) => {
    shown = line;
    stderr.write(`\r\x1b[K${line}`);
  };
  const clear = () => {
    // Below the bar there may be a preview.
    if (shown !== "" || reserved > 0) stderr.write("\r\x1b[J");
    shown = "";
    reserved = 0;
  };
  return {
    clear,
    say: (line) => {
      const before = shown;
      clear();
      stderr.write(`${line}\n`);
      if (before !== "") draw(before);
    },
    update: (status) => draw(barLine(status, context)),
    show: (picture, lines) => {
      if (lines + 2 >= stderr.rows) return;
      if (reserved < lines) {
        // Room first: a picture that scrolled the screen would leave the cursor at another line.
        stderr.write(`${"\n".repeat(lines + 1)}\x1b[${lines + 1}A`);
        reserved = lines;
        draw(shown);
      }
      stderr.write(`\x1b7\n${picture}\x1b8`);
    },
  };
}

function barLine(status: Status, context: Context): string {
  const filled = Math.round(BAR_WIDTH * (status.fraction ?? 0));
  const bar = `[${"#".repeat(filled)}${styled(context, "faint", "-".repeat(BAR_WIDTH - filled))}]`;
  return `${status.fraction === undefined ? "" : `${bar} `}${plainLine(status, context)}`;
}

/** Plain lines come at most this often, so that a short run says nothing. */
const LINE_MILLISECONDS = 10_000;

function lineProgress(context: Context): Progress {
  const { stderr } = context;
  let at = performance.now();
  return {
    clear: () => {},
    show: () => {},
    say: (line) => stderr.write(`${line}\n`),
    update: (status) => {
      const now = performance.now();
      if (now - at < LINE_MILLISECONDS) return;
      at = now;
      stderr.write(`${plainLine(status, context)}\n`);
    },
  };
}

function plainLine({ label, detail, secondsLeft }: Status, { text, language }: Context): string {
  const left = secondsLeft === undefined ? [] : [text.run.left(formatDuration(secondsLeft, language))];
  return [label, ...(detail === undefined ? [] : [detail]), ...left].join(", ");
}
