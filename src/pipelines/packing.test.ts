import { copyFile, mkdir, mkdtemp, readdir, realpath, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { readSafetensorsHeader, readTensor, writeSafetensors } from "../checkpoint/mod.ts";
import { add, buildGraph, type GraphBuilder, matmul, reshape, transpose, type Value } from "../graph/mod.ts";
import { type FoldedGraph, foldWeights, keepNarrow, withStoredTypes } from "../passes/mod.ts";
import { cast, type DType, float32 } from "../tensor/mod.ts";
import { HOLDS_FOLDER } from "./pack-holds.node.ts";
import { type BoundPart, PACK_FOLDER, PackStore, packedBytes, removePacked } from "./packing.node.ts";

const VALUES: Readonly<Record<string, readonly [DType, readonly number[]]>> = {
  wide: ["float32", [1, 2, 3, 4, 5, 6]],
  half: ["float16", [0.5, 1, 1.5, 2, 2.5, 3]],
  brain: ["bfloat16", [-1, -2, -3, -4, -5, -6]],
};

/** A folder with a part of three weights [2,3]. */
async function makeModel(): Promise<{ readonly root: string; readonly part: () => Promise<BoundPart> }> {
  const root = await realpath(await mkdtemp(join(tmpdir(), "kandinsky-packing-")));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const folder = join(root, "unet");
  await mkdir(folder);
  const file = join(folder, "weights.safetensors");
  await writeWeights(file, 1);
  return { root, part: async () => ({ name: "unet", folder, ...(await readSafetensorsHeader(file)) }) };
}

async function writeWeights(file: string, factor: number): Promise<void> {
  const tensors = Object.entries(VALUES).map(([name, [dtype, values]]) => ({
    name,
    tensor: cast(
      float32(
        [2, 3],
        values.map((value) => value * factor),
      ),
      dtype,
    ),
  }));
  await writeSafetensors(file, tensors, {});
}

/** A folded graph of x [1,3] times each value that `define` makes of weights. */
function fold(
  define: (weight: (name: string) => Value, builder: GraphBuilder) => Record<string, Value>,
): FoldedGraph {
  const graph = buildGraph((builder) => {
    const x = builder.input("x", "float32", [1, 3]);
    const values = define((name) => builder.parameter(name, [2, 3]), builder);
    const results = Object.entries(values).map(([name, value]) => [name, matmul(x, reshape(value, [3, 2]))]);
    return Object.fromEntries(results);
  });
  return foldWeights(withStoredTypes(graph, (name) => VALUES[name]![0]));
}

const everyKind = () =>
  fold((weight) => ({
    view: weight("wide"),
    widened: weight("half"),
    moved: transpose(weight("brain"), [1, 0]),
    summed: add(weight("wide"), weight("half")),
  }));

type Told = Parameters<ConstructorParameters<typeof PackStore>[2]>[0];

/** A store that keeps what it tells. */
function makeStore(root: string, keep = true) {
  const told: Told[] = [];
  const store = new PackStore(root, keep, (progress) => told.push(progress));
  onTestFinished(() => store.dispose());
  return { store, told };
}

/** What lies in the folder of packed weights besides other names of the same files. */
async function packsIn(root: string): Promise<string[]> {
  return (await readdir(join(root, PACK_FOLDER))).filter((name) => name !== HOLDS_FOLDER);
}

/** Values of all weights that a graph needs, by the order of its parameters. */
async function valuesOf(store: PackStore, part: BoundPart, folded: FoldedGraph): Promise<number[][]> {
  const places = await store.place(part, folded);
  const tensors = await Promise.all([...places.values()].map(readTensor));
  expect(tensors.map(({ dtype }) => dtype)).toEqual(tensors.map(() => "float32"));
  return tensors.map(({ data }) => Array.from(data, Number)).sort((a, b) => a[0]! - b[0]!);
}

const ALL_VALUES = [
  [-1, -4, -2, -5, -3, -6],
  [0.5, 1, 1.5, 2, 2.5, 3],
  [1, 2, 3, 4, 5, 6],
  [1.5, 3, 4.5, 6, 7.5, 9],
];

test("PackStore packs what must be computed and leaves views of float32 weights where they lie", async () => {
  const { root, part } = await makeModel();
  const { store, told } = makeStore(root);
  const bound = await part();
  expect(await valuesOf(store, bound, everyKind())).toEqual(ALL_VALUES);
  const places = await store.place(bound, everyKind());
  const files = [...places.values()].map(({ file }) => dirname(file));
  const beside = join(root, PACK_FOLDER);
  const packed = files.filter((folder) => folder.startsWith(beside));
  expect([packed.length, files.filter((folder) => folder === join(root, "unet")).length]).toEqual([3, 1]);
  // Three weights of six float32 values.
  expect(told[0]).toMatchObject({ part: "unet", doneBytes: 0, bytes: 72 });
  expect(told.at(-1)).toMatchObject({ doneBytes: 72, bytes: 72 });
  expect(await packsIn(root)).toHaveLength(1);
});

test("PackStore writes nothing where nothing must be computed", async () => {
  const { root, part } = await makeModel();
  const { store, told } = makeStore(root);
  await store.place(
    await part(),
    fold((weight) => ({ y: weight("wide") })),
  );
  expect([told, await readdir(root)]).toEqual([[], ["unet"]]);
});

test("PackStore finds what another one packed", async () => {
  const { root, part } = await makeModel();
  await makeStore(root).store.place(await part(), everyKind());
  const { store, told } = makeStore(root);
  expect(await valuesOf(store, await part(), everyKind())).toEqual(ALL_VALUES);
  expect(told).toEqual([]);
});

test("PackStore adds only the weights that are not packed yet", async () => {
  const { root, part } = await makeModel();
  await makeStore(root).store.place(
    await part(),
    fold((weight) => ({ y: weight("half") })),
  );
  const { store, told } = makeStore(root);
  expect(await valuesOf(store, await part(), everyKind())).toEqual(ALL_VALUES);
  expect(told.at(-1)).toMatchObject({ doneBytes: 48, bytes: 48 });
  expect(await packsIn(root)).toHaveLength(2);
});

test("PackStore packs again where the weights' file changed", async () => {
  const { root, part } = await makeModel();
  await makeStore(root).store.place(await part(), everyKind());
  await writeWeights(join(root, "unet", "weights.safetensors"), 2);
  const { store, told } = makeStore(root);
  const doubled = ALL_VALUES.map((values) => values.map((value) => 2 * value));
  expect(await valuesOf(store, await part(), everyKind())).toEqual(doubled);
  expect(told.length).toBeGreaterThan(0);
});

test("PackStore removes what was packed of an older state, and old unfinished files, and nothing else", async () => {
  const { root, part } = await makeModel();
  const beside = join(root, PACK_FOLDER);
  await makeStore(root).store.place(await part(), everyKind());
  const [old] = await packsIn(root);
  await copyFile(join(root, "unet", "weights.safetensors"), join(root, "unet", "others.safetensors"));
  const { entries } = await readSafetensorsHeader(join(root, "unet", "others.safetensors"));
  await makeStore(root).store.place({ ...(await part()), name: "movq", entries }, everyKind());
  const other = (await packsIn(root)).find((name) => name !== old);
  for (const name of ["killed.tmp", "written.tmp"]) await writeFile(join(beside, name), "x");
  await utimes(join(beside, "killed.tmp"), new Date(), new Date(Date.now() - 3_700_000));
  await utimes(join(root, "unet", "weights.safetensors"), 1, 1);

  // Until the new file is there, the old one stays.
  const failing = new PackStore(root, true, () => {
    throw new Error("stopped");
  });
  await expect(failing.place(await part(), everyKind())).rejects.toThrow("stopped");
  expect(await packsIn(root)).toContain(old);

  await makeStore(root).store.place(await part(), everyKind());
  const left = await packsIn(root);
  expect(left).not.toContain(old);
  expect(left).toEqual(expect.arrayContaining([other, "written.tmp"]));
  expect(left).toHaveLength(3);
});

test("packedBytes counts what a run that keeps nothing has packed", async () => {
  const { root, part } = await makeModel();
  const { store } = makeStore(root, false);
  await store.place(await part(), everyKind());
  expect(await packedBytes(root)).toBeGreaterThan(72);
  await store.dispose();
  expect(await packedBytes(root)).toBe(0);
});

test("PackStore packs again where only the time of the weights' file changed", async () => {
  const { root, part } = await makeModel();
  await makeStore(root).store.place(await part(), everyKind());
  await utimes(join(root, "unet", "weights.safetensors"), 1, 1);
  const { store, told } = makeStore(root);
  await store.place(await part(), everyKind());
  expect(told.length).toBeGreaterThan(0);
});

test("PackStore of one run keeps nothing: dispose removes what it packed, and no more", async () => {
  const { root, part } = await makeModel();
  await makeStore(root).store.place(
    await part(),
    fold((weight) => ({ y: weight("half") })),
  );
  const kept = await readdir(join(root, PACK_FOLDER));
  const { store } = makeStore(root, false);
  expect(await valuesOf(store, await part(), everyKind())).toEqual(ALL_VALUES);
  expect((await readdir(join(root, PACK_FOLDER))).length).toBe(kept.length + 1);
  await store.dispose();
  expect(await readdir(join(root, PACK_FOLDER))).toEqual(kept);
});

test("PackStore packs elsewhere, for one run, where it cannot write beside the model", async () => {
  const { root, part } = await makeModel();
  // A file in the folder's place stands for a model on a read-only disk.
  await writeFile(join(root, PACK_FOLDER), "");
  const { store, told } = makeStore(root);
  expect(await valuesOf(store, await part(), everyKind())).toEqual(ALL_VALUES);
  const folder = dirname(told[0]!.file);
  expect(folder.startsWith(root)).toBe(false);
  await store.dispose();
  await expect(readdir(folder)).rejects.toThrow("ENOENT");
});

test("PackStore refuses before it writes what the disk has no room for", async () => {
  const { root, part } = await makeModel();
  const bound = await part();
  const huge = { ...bound.entries.get("half")!, shape: [2 ** 30, 2 ** 25] };
  const graph = buildGraph((builder) => {
    const x = builder.input("x", "float32", [1, 2 ** 30]);
    return { y: matmul(x, builder.parameter("half", huge.shape)) };
  });
  const folded = foldWeights(withStoredTypes(graph, () => "float16"));
  const { store, told } = makeStore(root);
  const error = await store
    .place({ ...bound, entries: new Map([["half", huge]]) }, folded)
    .catch((cause: unknown) => cause as KandinskyError);
  expect(error).toBeInstanceOf(KandinskyError);
  expect((error as KandinskyError).code).toBe("disk_full");
  expect((error as KandinskyError).parts.wanted).toBe(`${Math.ceil((2 ** 57 + 64e6) / 1e6)} MB`);
  expect([told, await readdir(join(root, PACK_FOLDER))]).toEqual([[], []]);
});

test("packedBytes and removePacked see what lies beside the model", async () => {
  const { root, part } = await makeModel();
  expect(await packedBytes(root)).toBe(0);
  const { store } = makeStore(root);
  const places = await store.place(await part(), everyKind());
  expect(await packedBytes(root)).toBeGreaterThan(72);
  await removePacked(root);
  expect(await packedBytes(root)).toBe(0);
  // Whoever uses them keeps them until the end.
  for (const entry of places.values()) await readTensor(entry);
  await store.dispose();
  await removePacked(root);
  expect(await readdir(root)).toEqual(["unet"]);
  await removePacked(root);
});

test("PackStore packs what was only moved in its stored type, and finds it again", async () => {
  const { root, part } = await makeModel();
  const { store, told } = makeStore(root);
  const kept = keepNarrow(everyKind());
  const read = async () => {
    const places = await store.place(await part(), kept);
    const tensors = await Promise.all([...places.values()].map(readTensor));
    return tensors.map((t) => [t.dtype, Array.from(cast(t, "float32").data)]);
  };
  const values = await read();
  const byText = (a: unknown, b: unknown) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
  expect(values.sort(byText)).toEqual([
    ["bfloat16", [-1, -4, -2, -5, -3, -6]],
    ["float16", [0.5, 1, 1.5, 2, 2.5, 3]],
    ["float32", [1, 2, 3, 4, 5, 6]],
    ["float32", [1.5, 3, 4.5, 6, 7.5, 9]],
  ]);
  // The transposed weight in two bytes a value, the sum in four; the others lie where they lay.
  expect(new Set(told.map(({ bytes }) => bytes))).toEqual(new Set([6 * 2 + 6 * 4]));
  const before = told.length;
  expect((await read()).sort(byText)).toEqual(values);
  expect(told.length).toBe(before);
});
