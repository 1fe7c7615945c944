import { KandinskyError } from "../../src/base/mod.ts";
import type { DType, Tensor } from "../../src/tensor/mod.ts";

/** `max|a-b| <= abs + rel * max|expected|`; a class of the folder's manifest, or one of the rules beside it. */
export interface Tolerance {
  readonly name: string;
  readonly abs: number;
  readonly rel: number;
  /** Share of the values that must be within; all of them where absent. */
  readonly share?: number;
}

export const EXACT: Tolerance = { name: "exact", abs: 0, rel: 0 };

/** How far one result is from the stored one. */
export interface Difference {
  readonly worst: number;
  /** Index of the worst value, one number an axis. */
  readonly place: readonly number[];
  /** `worst` as a share of what is allowed; more than 1 fails. */
  readonly ratio: number;
}

export interface Finding extends Difference {
  readonly name: string;
  readonly tolerance: string;
}

/** What a whole run found. */
export interface Summary {
  readonly compared: number;
  readonly notYet: number;
  readonly failures: readonly string[];
  readonly worst: Finding | undefined;
}

/** Prints findings as they come and counts them. */
export interface Report {
  compare(name: string, tolerance: Tolerance, seen: Tensor, wanted: Tensor): void;
  /** A finding whose measure is not the rule for tensors, such as that of pictures. */
  add(finding: Finding): void;
  fail(name: string, reason: string): void;
  notYet(name: string, tensors: number): void;
  note(text: string): void;
  summary(): Summary;
}

export function makeReport(print: (line: string) => void): Report {
  const findings: Finding[] = [];
  const failures: string[] = [];
  let notYet = 0;
  const report: Report = {
    compare(name, tolerance, seen, wanted) {
      if (seen.shape.join() !== wanted.shape.join()) {
        findings.push({
          name,
          tolerance: tolerance.name,
          worst: Number.NaN,
          place: [],
          ratio: Number.POSITIVE_INFINITY,
        });
        report.fail(name, `shape [${seen.shape}], wanted [${wanted.shape}]`);
        return;
      }
      report.add({ name, tolerance: tolerance.name, ...differenceOf(seen, wanted, tolerance) });
    },
    add(finding) {
      findings.push(finding);
      const { name, tolerance, worst, place, ratio } = finding;
      const at = place.length === 0 ? "" : ` at [${place}]`;
      print(`${name}  ${tolerance}  worst ${worst.toExponential(2)}${at}  ratio ${formatRatio(ratio)}`);
      if (!(ratio <= 1)) report.fail(name, `${formatRatio(ratio)} of the tolerance ${tolerance}${at}`);
    },
    fail(name, reason) {
      failures.push(name);
      print(`FAIL: ${name}: ${reason}`);
    },
    notYet(name, tensors) {
      notYet += tensors;
      print(`not yet: ${name}`);
    },
    note: print,
    summary: () => ({
      compared: findings.length,
      notYet,
      failures,
      worst: findings.reduce<Finding | undefined>(
        (worst, next) => (worst === undefined || next.ratio > worst.ratio ? next : worst),
        undefined,
      ),
    }),
  };
  return report;
}

/** The last line of a run. */
export function lastLine({ compared, notYet, worst }: Summary): string {
  const at =
    worst === undefined
      ? "0 of tolerance at nothing"
      : `${formatRatio(worst.ratio)} of tolerance at ${worst.name}`;
  return `compared ${compared}, not yet ${notYet}, of ${compared + notYet} tensors; worst ${at}`;
}

export function formatRatio(ratio: number): string {
  return Number.isFinite(ratio) ? ratio.toFixed(4) : "infinite";
}

/** The largest difference of two tensors of one shape, of those values that the tolerance's share counts. */
export function differenceOf(seen: Tensor, wanted: Tensor, { abs, rel, share = 1 }: Tolerance): Difference {
  const a = numbersOf(seen);
  const b = numbersOf(wanted);
  const differences = new Float64Array(b.length);
  let largest = 0;
  for (let i = 0; i < b.length; i++) {
    largest = Math.max(largest, Math.abs(b[i]!));
    const difference = a[i] === b[i] ? 0 : Math.abs(a[i]! - b[i]!);
    differences[i] = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  const counted = Math.ceil(share * b.length);
  const worst = share === 1 ? maximumOf(differences) : (differences.slice().sort()[counted - 1] ?? 0);
  const limit = abs + rel * largest;
  const place = placeOf(Math.max(0, differences.indexOf(worst)), wanted.shape);
  return { worst, place, ratio: worst === 0 ? 0 : worst / limit };
}

function maximumOf(values: Float64Array): number {
  return values.reduce((most, value) => Math.max(most, value), 0);
}

function numbersOf(t: Tensor): ArrayLike<number> {
  return (t.dtype as DType) === "int64"
    ? Array.from(t.data as BigInt64Array, Number)
    : (t.data as Float32Array);
}

function placeOf(index: number, shape: readonly number[]): number[] {
  const place: number[] = [];
  let rest = index;
  for (const size of [...shape].reverse()) {
    place.unshift(rest % size);
    rest = Math.floor(rest / size);
  }
  return place;
}

/** A fault of the program itself shows where it is. */
export function reasonOf(error: unknown): string {
  if (error instanceof KandinskyError) return error.message;
  return error instanceof Error ? `${error.stack}` : String(error);
}
