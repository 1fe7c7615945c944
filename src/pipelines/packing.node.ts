import { createHash, randomUUID } from "node:crypto";
import { mkdir, mkdtemp, open, readdir, rm, rmdir, stat, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Adapter } from "../adapters/mod.ts";
import { KandinskyError, product } from "../base/mod.ts";
import {
  readSafetensorsHeader,
  readTensor,
  readTensorAsFloat32,
  type SafetensorsHeader,
  streamFloat32,
  type TensorEntry,
  writeSafetensorsStream,
} from "../checkpoint/mod.ts";
import { type Graph, nodesOf } from "../graph/mod.ts";
import { interpret } from "../interp/mod.ts";
import type { FoldedGraph, RoundedGraph, RoundedPiece, RoundedWeight } from "../passes/mod.ts";
import { packedSpans, packWeight } from "../quant/mod.ts";
import { cast, type DType, ITEM_SIZE, type Tensor, tensor, transposed } from "../tensor/mod.ts";
import { filesOf, hashSamples } from "./fingerprint.node.ts";
import { HOLDS_FOLDER, PackHolds, releaseDead } from "./pack-holds.node.ts";

/** Folder beside the model that holds packed weights; removing it loses nothing but time. */
export const PACK_FOLDER = ".kandinsky";

/** Folder in it of encoded texts, which are no packed weights: see `TextCache`. */
export const TEXT_FOLDER = "texts";

/** The weights of one model part, by checkpoint key. */
export interface BoundPart {
  readonly name: string;
  readonly folder: string;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /** What changes the part's graphs, with weights of its own beside `entries`. */
  readonly adapters?: readonly Adapter[];
}

/** Where a weight of a part or of its adapters lies. */
export function entryOf(part: BoundPart, name: string): TensorEntry {
  const places = [part, ...(part.adapters ?? [])];
  return places.map(({ entries }) => entries.get(name)).find((entry) => entry !== undefined)!;
}

/** Told while a packed file is written. */
export type OnPack = (progress: {
  readonly part: string;
  readonly file: string;
  readonly doneBytes: number;
  readonly bytes: number;
}) => void;

/**
 * Finds or writes the packed form of weights that cannot be used as they lie: widened from half precision,
 * laid out for the CPU's convolutions, combined. Packed files lie beside the model, keyed by the state of
 * the part's files and by what was computed; float32 weights that need no change stay where they are.
 */
export class PackStore {
  readonly #root: string;
  readonly #keep: boolean;
  readonly #onPack: OnPack;
  readonly #holds = new PackHolds();
  #temporary: string | undefined;

  /** `root`: the model's folder. `keep` false: packed files are removed by `dispose`. */
  constructor(root: string, keep: boolean, onPack: OnPack) {
    this.#root = root;
    this.#keep = keep;
    this.#onPack = onPack;
  }

  /**
   * Where every weight of the graph lies, by its name in the graph. Throws `disk_full` before writing where
   * the packed file would not fit.
   */
  async place(part: BoundPart, { graph, derived, rounded }: PackedGraph): Promise<Places> {
    const places = new Map<string, TensorEntry>();
    const packed = new Map<string, PackTask>();
    const pieces = new Map<string, RoundedPiece>();
    for (const { attributes } of nodesOf(graph, "parameter")) {
      const piece = rounded?.pieces.get(attributes.name);
      const expression = derived.get(attributes.name);
      if (piece !== undefined) {
        pieces.set(attributes.name, piece);
        packed.set(piece.packed, roundedTask(part, derived, rounded!.weights.get(piece.packed)!));
      } else if (expression === undefined) places.set(attributes.name, entryOf(part, attributes.name));
      else if (isView(expression)) places.set(attributes.name, entryOf(part, storedNames(expression)[0]!));
      else packed.set(attributes.name, widenedTask(part, expression));
    }
    if (packed.size > 0) await this.#pack(part, packed, places);
    for (const [name, { packed: whole, slice, role }] of pieces) {
      const spans = packedSpans(rounded!.weights.get(whole)!.form).slices[slice]!;
      const entry = places.get(whole)!;
      places.set(name, { ...entry, ...spans[role]!, offset: entry.offset + spans[role]!.offset });
    }
    return places;
  }

  /** Finds or writes what is packed, and adds its places. */
  async #pack(
    part: BoundPart,
    tasks: ReadonlyMap<string, PackTask>,
    places: Map<string, TensorEntry>,
  ): Promise<void> {
    const packed = new Map(tasks);
    const source = await stateOf(part);
    const folder = await this.#folder();
    for (const [name, entry] of await packedEntries(folder, source)) {
      if (!packed.has(name)) continue;
      const file = await this.#hold(entry.file);
      if (file === undefined) continue;
      packed.delete(name);
      places.set(name, { ...entry, file });
    }
    // In files of their own, so that what is packed of the part itself serves with every adapter.
    for (const marks of [{ source }, { source, adapters: adapterKey(part) }]) {
      const some = new Map([...packed].filter(([, task]) => isAdapted(part, task) === "adapters" in marks));
      if (some.size === 0) continue;
      let file: string | undefined;
      // Gone again at once where another process writes and removes at the same time.
      while (file === undefined) file = await this.#hold(await this.#write(part, some, folder, marks));
      await removeStale(folder, part.name, marks);
      const { entries } = await readSafetensorsHeader(file);
      for (const name of some.keys()) places.set(name, entries.get(name)!);
    }
  }

  /** A name under which a packed file stays; undefined where it is gone. */
  async #hold(file: string): Promise<string | undefined> {
    return this.#temporary === undefined ? this.#holds.hold(file) : file;
  }

  /** Gives back what others may remove, and removes what was only meant for this process. */
  async dispose(): Promise<void> {
    await this.#holds.release();
    if (this.#temporary === undefined) return;
    await rm(this.#temporary, { recursive: true, force: true });
    this.#temporary = undefined;
    // Fails where other packed weights lie there, which then stay.
    await rmdir(join(this.#root, PACK_FOLDER)).catch(() => {});
  }

  async #folder(): Promise<string> {
    if (this.#temporary !== undefined) return this.#temporary;
    const beside = join(this.#root, PACK_FOLDER);
    if (this.#keep && (await isWritable(beside))) return beside;
    const base = (await isWritable(beside)) ? beside : tmpdir();
    this.#temporary = await mkdtemp(join(base, "once-"));
    return this.#temporary;
  }

  async #write(
    part: BoundPart,
    packed: ReadonlyMap<string, PackTask>,
    folder: string,
    marks: PackMarks,
  ): Promise<string> {
    const key = createHash("sha256")
      .update([marks.source, ...packed.keys()].join("\n"))
      .digest("hex")
      .slice(0, 12);
    const file = join(folder, `${part.name}-${key}.safetensors`);
    const tensors = [...packed].map(([name, task]) => ({ name, ...task }));
    const bytes = tensors.reduce((sum, { dtype, shape }) => sum + product(shape) * ITEM_SIZE[dtype], 0);
    await checkSpace(folder, file, bytes);
    let doneBytes = 0;
    this.#onPack({ part: part.name, file, doneBytes, bytes });
    await writeSafetensorsStream(file, tensors, metadataOf(marks), (written) => {
      doneBytes += written;
      this.#onPack({ part: part.name, file, doneBytes, bytes });
    });
    return file;
  }
}

/** Where the weights of a graph lie, by their names in it. */
export type Places = ReadonlyMap<string, TensorEntry>;

/** A graph with what its weights are made of: of expressions, or of pieces of rounded ones. */
export interface PackedGraph extends FoldedGraph {
  readonly rounded?: Pick<RoundedGraph, "weights" | "pieces">;
}

/** A tensor to be packed. */
interface PackTask {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Stored weights that it depends on. */
  readonly sources: readonly string[];
  readonly values: () => AsyncIterable<ArrayBufferView>;
}

function widenedTask(part: BoundPart, expression: Graph): PackTask {
  const { dtype, shape } = resultOf(expression);
  return { dtype, shape, sources: storedNames(expression), values: () => evaluate(part, expression) };
}

function roundedTask(
  part: BoundPart,
  derived: ReadonlyMap<string, Graph>,
  { weight, form }: RoundedWeight,
): PackTask {
  const expression = derived.get(weight);
  const values = async function* () {
    const pieces =
      expression === undefined
        ? [(await readTensorAsFloat32(entryOf(part, weight))).data]
        : await collect(evaluate(part, expression));
    yield packWeight(joined(pieces as Float32Array[]), form);
  };
  const sources = expression === undefined ? [weight] : storedNames(expression);
  return { dtype: "uint8", shape: [packedSpans(form).bytes], sources, values };
}

async function collect<T>(pieces: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}

function joined(pieces: readonly Float32Array[]): Float32Array {
  if (pieces.length === 1) return pieces[0]!;
  const whole = new Float32Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** What a packed file was made from. */
interface PackMarks {
  /** The state of the part's files. */
  readonly source: string;
  /** The adapters, where it holds weights that they changed. */
  readonly adapters?: string;
}

function metadataOf({ source, adapters }: PackMarks): Record<string, string> {
  return { kandinsky_source: source, ...(adapters === undefined ? {} : { kandinsky_adapters: adapters }) };
}

function adapterKey({ adapters = [] }: BoundPart): string {
  return adapters.map(({ id }) => id).join(" ");
}

function isAdapted({ entries }: BoundPart, { sources }: PackTask): boolean {
  return sources.some((name) => !entries.has(name));
}

/** Whether an expression only gives another shape to a stored weight. */
function isView(expression: Graph): boolean {
  return expression.nodes.every(({ op }) => op === "parameter" || op === "reshape");
}

/** Whether an expression only widens a stored weight, so that it can be computed piece by piece. */
function isWidening(expression: Graph): boolean {
  return (
    resultOf(expression).dtype === "float32" &&
    expression.nodes.every(({ op }) => op === "parameter" || op === "reshape" || op === "cast")
  );
}

async function* evaluate(part: BoundPart, expression: Graph) {
  const names = storedNames(expression);
  if (isWidening(expression)) {
    yield* streamFloat32(entryOf(part, names[0]!), CHUNK_ELEMENTS);
    return;
  }
  const stored = await Promise.all(names.map((name) => readTensor(entryOf(part, name))));
  if (isReordering(expression)) {
    yield cast(reorder(expression, stored[0]!), resultOf(expression).dtype).data;
    return;
  }
  const tensors = new Map(names.map((name, i) => [name, stored[i]!]));
  yield interpret(expression, {}, (name) => tensors.get(name)!).get("value")!.data;
}

/** Whether an expression only widens one stored weight and moves its values, as nearly all do. */
function isReordering(expression: Graph): boolean {
  return storedNames(expression).length === 1 && expression.nodes.every(({ op }) => MOVES.has(op));
}

const MOVES: ReadonlySet<string> = new Set(["parameter", "reshape", "cast", "transpose"]);

/** Moves the values as they are stored, in half the bytes and without the interpreter's double precision. */
function reorder(expression: Graph, stored: Tensor): Tensor {
  return expression.nodes.reduce((t, node) => {
    if (node.op === "transpose") return transposed(t, node.attributes.order);
    return node.op === "reshape" ? tensor(t.dtype, node.shape, t.data) : t;
  }, stored);
}

const CHUNK_ELEMENTS = 2 ** 22;

/** The stored weights that an expression is made of. */
export function storedNames(expression: Graph): string[] {
  return nodesOf(expression, "parameter").map(({ attributes }) => attributes.name);
}

function resultOf(expression: Graph) {
  return expression.nodes[expression.outputs.get("value")!]!;
}

/**
 * A hash of what the part's weights depend on: of every file, its name, size, time of change and samples.
 */
async function stateOf(part: BoundPart): Promise<string> {
  const hash = createHash("sha256");
  for (const file of filesOf(part)) {
    await hashSamples(hash, file, ({ size, mtimeMs }) => `${basename(file)} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

async function packedEntries(folder: string, source: string): Promise<Map<string, TensorEntry>> {
  const found = new Map<string, TensorEntry>();
  for (const name of (await readdir(folder)).sort()) {
    if (!name.endsWith(".safetensors")) continue;
    const { entries, metadata } = await readPacked(join(folder, name));
    if (metadata["kandinsky_source"] === source) for (const [key, entry] of entries) found.set(key, entry);
  }
  return found;
}

/** A packed file; without entries where another process has removed it since the folder was listed. */
async function readPacked(file: string): Promise<Pick<SafetensorsHeader, "entries" | "metadata">> {
  try {
    return await readSafetensorsHeader(file);
  } catch (error) {
    if (error instanceof KandinskyError && error.code === "file_missing")
      return { entries: new Map(), metadata: {} };
    throw error;
  }
}

/**
 * Removes what was packed of an older state of the part, and unfinished files that a killed run left. Where the
 * system keeps a file that is in use, it stays until the next time.
 */
async function removeStale(folder: string, part: string, marks: PackMarks): Promise<void> {
  await releaseDead(folder);
  for (const name of await readdir(folder)) {
    const file = join(folder, name);
    if (await isStale(file, part, marks)) await rm(file, { force: true }).catch(() => {});
  }
}

async function isStale(file: string, part: string, { source, adapters }: PackMarks): Promise<boolean> {
  if (file.endsWith(".tmp")) {
    const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: Date.now() }));
    return Date.now() - mtimeMs > UNFINISHED_MILLISECONDS;
  }
  const name = basename(file);
  if (!name.startsWith(`${part}-`) || !name.endsWith(".safetensors")) return false;
  const { metadata } = await readPacked(file);
  // Of the weights that adapters changed only the latest are kept: each choice of weights makes others.
  const changedBy = metadata["kandinsky_adapters"];
  const isOther = adapters !== undefined && changedBy !== undefined && changedBy !== adapters;
  return metadata["kandinsky_source"] !== source || isOther;
}

/** A file that is being written grows more often than this. */
const UNFINISHED_MILLISECONDS = 3_600_000;

async function isWritable(folder: string): Promise<boolean> {
  try {
    await mkdir(folder, { recursive: true });
    const probe = join(folder, `.probe-${randomUUID()}`);
    await (await open(probe, "wx")).close();
    await rm(probe);
    return true;
  } catch {
    return false;
  }
}

async function checkSpace(folder: string, file: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= bytes + SPARE_BYTES) return;
  throw new KandinskyError("disk_full", {
    what: "cannot write packed weights",
    where: file,
    seen: `${Math.floor(free / 1e6)} MB free`,
    wanted: `${Math.ceil((bytes + SPARE_BYTES) / 1e6)} MB`,
    hint: "free some space, or move the model to a larger disk",
  });
}

const SPARE_BYTES = 64e6;

/** Bytes of packed weights beside a model, those of runs that keep none among them; 0 where there are none. */
export async function packedBytes(root: string): Promise<number> {
  const sizes = (await packedPaths(root)).map(async (path) => {
    const names = await readdir(path, { recursive: true }).catch(() => [""]);
    const each = names.map(async (name) => {
      // A run that ends meanwhile removes its own.
      const found = await stat(join(path, name)).catch(() => undefined);
      return found?.isFile() ? found.size : 0;
    });
    return (await Promise.all(each)).reduce((sum, size) => sum + size, 0);
  });
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** Files of packed weights beside a model, and folders of runs that keep none. */
export async function packedPaths(root: string): Promise<string[]> {
  const folder = join(root, PACK_FOLDER);
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => !NO_PACKS.has(name)).map((name) => join(folder, name));
}

/** What lies beside packed weights: encoded texts, and other names of packed files. */
const NO_PACKS: ReadonlySet<string> = new Set([TEXT_FOLDER, HOLDS_FOLDER]);

/**
 * Removes the packed weights beside a model; they are written again when needed. Processes that use some keep theirs
 * until they end.
 */
export async function removePacked(root: string): Promise<void> {
  await releaseDead(join(root, PACK_FOLDER));
  for (const path of await packedPaths(root)) await rm(path, { recursive: true, force: true });
  // Fails where encoded texts lie there, which then stay.
  await rmdir(join(root, PACK_FOLDER)).catch(() => {});
}
