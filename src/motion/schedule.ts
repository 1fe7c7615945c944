import { KandinskyError } from "../base/mod.ts";
import { type ExpressionFault, type Names, parseExpression } from "./expression.ts";

/** What a schedule is evaluated for. */
export interface ScheduleContext {
  /** Of the film. */
  readonly frames: number;
  readonly frameRate: number;
  /** Called so in messages: "zoom". */
  readonly name: string;
  /** Values outside are an error that names the first frame. */
  readonly range?: readonly [low: number, high: number];
}

/** One key of a schedule: a frame, and a text that begins at character `at` of the whole. */
interface Key {
  readonly frame: number;
  readonly text: string;
  readonly at: number;
}

/** Names that expressions may use: the frame, frames a second, and the last frame. */
const NAMES = ["t", "fps", "max_f"] as const;

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * The value of every frame of a schedule in Deforum's syntax: `0: (1.02), 30: (1+0.02*sin(t/8))`, or one number or
 * expression for all. Between two numbers it goes in a straight line; an expression holds from its key to the next
 * key. Before the first key is its value, behind the last key the last value. Throws `option_invalid` which points at
 * the character: no such form, an unknown name, frames out of order, division by zero, a value that is not finite or
 * out of range.
 */
export function parseSchedule(text: string | number, context: ScheduleContext): Float64Array {
  const source = String(text);
  const keys = keysOf(source, context);
  const values = new Float64Array(context.frames).fill(Number.NaN);
  const constants = { fps: context.frameRate, max_f: Math.max(0, context.frames - 1) };
  for (const [i, key] of keys.entries()) {
    if (key.frame >= context.frames) break;
    if (NUMBER.test(key.text.trim())) {
      values[key.frame] = checked(Number(key.text), key.frame, key, source, context);
      continue;
    }
    const expression = parseExpression(key.text, NAMES);
    if (typeof expression !== "function") throw faulty(source, key, expression, context);
    const end = Math.min(keys[i + 1]?.frame ?? context.frames, context.frames);
    for (let t = key.frame; t < end; t++) {
      const names: Names = { ...constants, t };
      const value = expression(names);
      if (typeof value !== "number") throw faulty(source, key, value, context, t);
      values[t] = checked(value, t, key, source, context);
    }
  }
  // The first key may lie behind the film's end.
  if (values.length > 0 && values.every(Number.isNaN))
    values[0] = firstValue(keys[0]!, source, context, constants);
  fillBetween(values);
  return values;
}

function firstValue(key: Key, source: string, context: ScheduleContext, constants: Names): number {
  if (NUMBER.test(key.text.trim())) return checked(Number(key.text), 0, key, source, context);
  const expression = parseExpression(key.text, NAMES);
  const value = typeof expression === "function" ? expression({ ...constants, t: key.frame }) : expression;
  if (typeof value !== "number") throw faulty(source, key, value, context);
  return checked(value, key.frame, key, source, context);
}

/** Straight lines between the values that are there, and level before the first and behind the last. */
function fillBetween(values: Float64Array): void {
  let last = -1;
  for (let i = 0; i < values.length; i++) {
    if (Number.isNaN(values[i]!)) continue;
    for (let k = last + 1; k < i; k++) {
      values[k] =
        last < 0 ? values[i]! : values[last]! + ((values[i]! - values[last]!) * (k - last)) / (i - last);
    }
    last = i;
  }
  if (last >= 0) values.fill(values[last]!, last + 1);
}

/** `frame: (text)` items, by hand since the brackets of an item end where they are balanced. */
function keysOf(source: string, context: ScheduleContext): Key[] {
  if (!/^\s*\d+\s*:/.test(source)) return [{ frame: 0, text: source, at: 0 }];
  const keys: Key[] = [];
  const head = /\s*(\d+)\s*:\s*\(/y;
  const separator = /\s*(,\s*|$)/y;
  for (let at = 0; at < source.length; ) {
    head.lastIndex = at;
    const found = head.exec(source);
    if (found === null) throw malformed(source, at, context);
    const start = head.lastIndex;
    const end = closing(source, start);
    if (end === undefined) throw malformed(source, start - 1, context, "a bracket that is not closed");
    const frame = Number(found[1]);
    const before = keys.at(-1)?.frame ?? -1;
    if (frame <= before) {
      const place = start - found[0].length + found[0].search(/\d/);
      throw malformed(
        source,
        place,
        context,
        `frame ${frame} behind frame ${before}`,
        "frames in rising order",
      );
    }
    keys.push({ frame, text: source.slice(start, end), at: start });
    separator.lastIndex = end + 1;
    const gap = separator.exec(source);
    if (gap === null) throw malformed(source, end + 1, context);
    at = separator.lastIndex;
    if (gap[0].trim() === "" && at >= source.length) break;
  }
  return keys;
}

/** The bracket that closes the one before `start`. */
function closing(source: string, start: number): number | undefined {
  let depth = 1;
  for (let at = start; at < source.length; at++) {
    if (source[at] === "(") depth++;
    else if (source[at] === ")" && --depth === 0) return at;
  }
  return undefined;
}

function checked(
  value: number,
  frame: number,
  { at }: Key,
  source: string,
  { name, range }: ScheduleContext,
): number {
  const [low, high] = range ?? [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  if (Number.isFinite(value) && value >= low && value <= high) return value;
  throw new KandinskyError("option_invalid", {
    what: "a schedule has a value that cannot be used",
    where: `${name}, character ${at + 1}, frame ${frame}`,
    seen: `${value} from ${excerpt(source, at)}`,
    wanted: range === undefined ? "a finite number" : `${low} to ${high}`,
  });
}

function faulty(
  source: string,
  key: Key,
  fault: ExpressionFault,
  { name }: ScheduleContext,
  frame?: number,
): KandinskyError {
  const at = key.at + fault.at;
  return new KandinskyError("option_invalid", {
    what: "cannot use this schedule",
    where: `${name}, character ${at + 1}${frame === undefined ? "" : `, frame ${frame}`}`,
    seen: `${fault.seen} at ${excerpt(source, at)}`,
    wanted: fault.wanted,
    ...(fault.hint === undefined ? {} : { hint: fault.hint }),
  });
}

function malformed(
  source: string,
  at: number,
  { name }: ScheduleContext,
  seen?: string,
  wanted = "frame: (value), frame: (value)",
): KandinskyError {
  return new KandinskyError("option_invalid", {
    what: "cannot use this schedule",
    where: `${name}, character ${at + 1}`,
    seen: seen === undefined ? excerpt(source, at) : `${seen} at ${excerpt(source, at)}`,
    wanted,
  });
}

const EXCERPT = 24;

/** The text from there on, marked where it is cut. */
function excerpt(source: string, at: number): string {
  const rest = source.slice(at, at + EXCERPT);
  if (rest === "") return "the end";
  return JSON.stringify(at + EXCERPT < source.length ? `${rest}...` : rest);
}
