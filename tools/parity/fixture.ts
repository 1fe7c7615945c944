import { join } from "node:path";
import { KandinskyError } from "../../src/base/mod.ts";
import { readSafetensorsHeader, readTensor, type TensorEntry } from "../../src/checkpoint/mod.ts";
import { cast, type DType, type Tensor } from "../../src/tensor/mod.ts";
import type { Manifest, ManifestFixture } from "./folder.ts";
import type { Report, Tolerance } from "./report.ts";

/** One safetensors file of the folder and what its manifest says of every tensor in it. */
export interface Fixture {
  /** Path relative to the folder. */
  readonly file: string;
  /** The model that the manifest names for it. */
  readonly model: string | undefined;
  has(name: string): boolean;
  /** A stored tensor, input or expected. */
  tensor(name: string): Tensor;
  float32(name: string): Tensor<"float32">;
  integers(name: string): number[];
  /** How many expected tensors the manifest lists, `prefix/*` counted one by one. */
  readonly expected: number;
  /** Those that nothing was done with yet. */
  left(): string[];
  /** The same by their rows of the manifest, such as `grad/*`, with the number of each. */
  leftRows(): ReadonlyMap<string, number>;
  /** Compares a result with the stored tensor of that name. */
  expect(name: string, seen: Tensor): void;
  /** Expected tensors of a later issue. */
  later(label: string, names: readonly string[]): void;
}

/** Opens a fixture and checks its header against the manifest: everything listed is there, nothing else is. */
export async function openFixture(
  folder: string,
  { file, model, tensors: rows }: ManifestFixture,
  manifest: Manifest,
  report: Report,
): Promise<Fixture> {
  const { entries } = await readSafetensorsHeader(join(folder, file), file);
  const rowOf = (name: string) => rows[name] ?? rows[patternOf(rows, name) ?? ""];
  const expected = new Map<string, Tolerance | undefined>();
  for (const [name, entry] of entries) {
    const row = rowOf(name);
    if (row === undefined) report.fail(`${file} ${name}`, "not listed in the manifest");
    else checkEntry(file, entry, row, report);
    if (row?.[0] === "expected") expected.set(name, toleranceNamed(manifest, row[3]));
  }
  for (const name of Object.keys(rows)) {
    const prefix = patternPrefix(name);
    const there =
      prefix === undefined ? entries.has(name) : [...entries.keys()].some((key) => key.startsWith(prefix));
    if (!there) report.fail(`${file} ${name}`, "listed in the manifest, not in the file");
  }
  const stored = new Map<string, Tensor>();
  for (const [name, entry] of entries) stored.set(name, await readTensor(entry));
  const left = new Set(expected.keys());
  const fixture: Fixture = {
    file,
    model: model ?? undefined,
    expected: expected.size,
    has: (name) => stored.has(name),
    tensor(name) {
      const found = stored.get(name);
      if (found !== undefined) return found;
      throw new KandinskyError("tensor_missing", {
        what: "the case has no such tensor",
        where: `${file} ${name}`,
      });
    },
    float32: (name) => cast(fixture.tensor(name), "float32"),
    integers: (name) => Array.from(fixture.tensor(name).data, Number),
    left: () => [...left],
    leftRows() {
      const counts = new Map<string, number>();
      for (const name of left) {
        const row = Object.hasOwn(rows, name) ? name : (patternOf(rows, name) ?? name);
        counts.set(row, (counts.get(row) ?? 0) + 1);
      }
      return counts;
    },
    expect(name, seen) {
      left.delete(name);
      const tolerance = expected.get(name);
      if (tolerance === undefined)
        report.fail(`${file} ${name}`, "the manifest gives no known tolerance for it");
      else report.compare(`${file} ${name}`, tolerance, seen, fixture.tensor(name));
    },
    later(label, names) {
      for (const name of names) left.delete(name);
      if (names.length > 0) report.notYet(label, names.length);
    },
  };
  return fixture;
}

/** What the manifest says of weights after steps in words: an optimiser moves a few by their gradient's sign alone. */
const SHARES: Readonly<Record<string, number>> = { params: 0.995 };

/** A class of the manifest by name. */
export function toleranceNamed(manifest: Manifest, name: string | undefined): Tolerance | undefined {
  const found = name !== undefined && Object.hasOwn(manifest.tolerance.classes, name);
  if (!found) return undefined;
  const share = Object.hasOwn(SHARES, name) ? { share: SHARES[name]! } : {};
  return { name, ...manifest.tolerance.classes[name]!, ...share };
}

type Row = ManifestFixture["tensors"][string];

const DTYPES: Readonly<Record<string, DType>> = {
  F64: "float64",
  F32: "float32",
  F16: "float16",
  BF16: "bfloat16",
  I64: "int64",
  I32: "int32",
  U8: "uint8",
};

function checkEntry(file: string, entry: TensorEntry, [, dtype, shape]: Row, report: Report): void {
  const name = `${file} ${entry.name}`;
  if (DTYPES[dtype] !== entry.dtype) report.fail(name, `stored as ${entry.dtype}, listed as ${dtype}`);
  if (typeof shape !== "string" && shape.join() !== entry.shape.join()) {
    report.fail(name, `stored as [${entry.shape}], listed as [${shape}]`);
  }
}

/** The row that a name such as `grad/conv_in.weight` is listed under: `grad/*`. */
function patternOf(rows: ManifestFixture["tensors"], name: string): string | undefined {
  return Object.keys(rows).find((pattern) => {
    const prefix = patternPrefix(pattern);
    return prefix !== undefined && name.startsWith(prefix);
  });
}

function patternPrefix(pattern: string): string | undefined {
  return pattern.endsWith("*") ? pattern.slice(0, -1) : undefined;
}
