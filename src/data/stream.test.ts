import { mkdir, readdir, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { KandinskyError } from "../base/mod.ts";
import { encodePixels } from "../image/mod.ts";
import { keyOf } from "../random/mod.ts";
import { openDataset } from "./dataset.node.ts";
import { type Batch, openStream, type StreamOptions } from "./stream.node.ts";
import { colourOf, plainFile, streamed, withFolder } from "./test-support.ts";
import { EVEN_WEIGHTS } from "./texts.ts";
import { writeShard } from "./write.node.ts";

/** Colours are places: sample i is (i, 255 - i, 7). */
const colour = (i: number) => [i, 255 - i, 7] as const;

async function makeData(folder: string): Promise<string> {
  const data = join(folder, "data");
  await mkdir(data);
  for (const shard of [0, 1]) {
    const samples = await Promise.all(
      Array.from({ length: 12 }, async (_, n) => {
        const i = shard * 12 + n;
        const [width, height] = [[40, 40] as const, [80, 40] as const, [40, 90] as const][i % 3]!;
        return {
          key: String(i).padStart(6, "0"),
          members: {
            png: await plainFile(colour(i), width, height),
            json: JSON.stringify({ captions: { en: `picture ${i}`, ru: `картина ${i}` } }),
          },
        };
      }),
    );
    await writeShard(join(data, `s-${shard}.tar`), streamed(samples));
  }
  await writeFile(join(data, "plain.png"), await plainFile(colour(24), 64, 64));
  await writeFile(join(data, "plain.ru.txt"), "картина 24\n");
  return data;
}

const options = (folder: string, data: string) =>
  ({ sources: [data], cache: join(folder, "cache"), captions: "skip", workers: 2 }) as const;

const BUCKETS = [
  { width: 32, height: 32 },
  { width: 64, height: 32 },
  { width: 32, height: 64 },
];

const PLAIN: Omit<StreamOptions, "dataset"> = {
  buckets: BUCKETS,
  batch: 4,
  key: keyOf(3),
  rank: { rank: 0, world: 1 },
  cursor: { epoch: 0, batch: 0 },
  weights: EVEN_WEIGHTS,
  buffer: 10,
  enlarge: false,
  flip: true,
  workers: 2,
  depth: 3,
};

async function take(stream: StreamOptions, count: number): Promise<Batch[]> {
  const open = await openStream(stream);
  try {
    const batches: Batch[] = [];
    while (batches.length < count) batches.push(await open.next());
    return batches;
  } finally {
    await open.close();
  }
}

test("openStream gives every picture of shards and folders with its own caption, in its bucket", () =>
  withFolder(async (folder) => {
    const dataset = await openDataset(options(folder, await makeData(folder)));
    expect(dataset.skipped).toEqual([]);
    const seen = new Set<number>();
    const languages = new Set<string>();
    for (const { pictures, texts, bucket, keys } of await take({ dataset, ...PLAIN }, 8)) {
      for (const [i, picture] of pictures.entries()) {
        expect([picture.width, picture.height]).toEqual([bucket.width, bucket.height]);
        const [place, rest] = colourOf(picture);
        expect(rest).toBe(255 - place!);
        expect(texts[i]!.text).toMatch(new RegExp(` ${place}$`));
        expect(keys[i]).toMatch(
          place === 24 ? /^plain\.png$/ : new RegExp(`^s-${place! < 12 ? 0 : 1}\\.tar:0*${place}$`),
        );
        seen.add(place!);
        languages.add(texts[i]!.language);
      }
    }
    expect(seen.size).toBe(25);
    expect(languages).toEqual(new Set(["en", "ru"]));
  }));

test("openStream goes on from any cursor as if it had not stopped, across epochs", () =>
  withFolder(async (folder) => {
    const dataset = await openDataset(options(folder, await makeData(folder)));
    const whole = await take({ dataset, ...PLAIN }, 18);
    expect(whole.at(-1)!.cursor.epoch).toBeGreaterThan(1);
    for (const stop of [1, 5, 8, 13]) {
      const cursor = JSON.parse(JSON.stringify(whole[stop - 1]!.cursor));
      const rest = await take({ dataset, ...PLAIN, cursor, workers: 1, depth: 1 }, 18 - stop);
      expect(rest, `stopped after ${stop}`).toEqual(whole.slice(stop));
    }
  }));

test("openStream gives ranks together the batches of one process", () =>
  withFolder(async (folder) => {
    const dataset = await openDataset(options(folder, await makeData(folder)));
    const whole = await take({ dataset, ...PLAIN }, 9);
    const [first, second] = await Promise.all(
      [0, 1].map((rank) => take({ dataset, ...PLAIN, rank: { rank, world: 2 } }, 9)),
    );
    for (const [i, batch] of whole.entries()) {
      expect([...first![i]!.pictures, ...second![i]!.pictures]).toEqual(batch.pictures);
      expect([...first![i]!.texts, ...second![i]!.texts]).toEqual(batch.texts);
      expect(first![i]!.cursor).toEqual(batch.cursor);
    }
    await expect(openStream({ dataset, ...PLAIN, rank: { rank: 0, world: 3 } })).rejects.toThrow(
      "the batch cannot be shared",
    );
  }));

test("openStream repeats pictures where the batch is larger than the data, and every epoch shows all", () =>
  withFolder(async (folder) => {
    const data = await makeData(folder);
    const dataset = await openDataset(options(folder, data));
    const few = { ...dataset, samples: dataset.samples.slice(0, 3) };
    const wide = { width: 32, height: 32 };
    const batches = await take({ ...PLAIN, dataset: few, buckets: [wide], batch: 16 }, 3);
    const keys = few.samples.map(({ key }) => key).sort();
    for (const { keys: shown } of batches) {
      expect(shown.length).toBe(16);
      expect([...new Set(shown)].sort()).toEqual(keys);
    }
    expect(batches.map(({ cursor }) => cursor.epoch)).toEqual([1, 2, 3]);
  }));

test("openStream leaves pictures out that no bucket takes without enlarging, and refuses a wrong cursor", () =>
  withFolder(async (folder) => {
    const dataset = await openDataset(options(folder, await makeData(folder)));
    const buckets = [{ width: 64, height: 64 }];
    const stream = await openStream({ dataset, ...PLAIN, buckets });
    expect(stream.tooSmall).toBe(24);
    await stream.close();
    const enlarged = await openStream({ dataset, ...PLAIN, buckets, enlarge: true });
    expect([enlarged.tooSmall, enlarged.epochLength(0)]).toEqual([0, 7]);
    await enlarged.close();
    await expect(openStream({ dataset, ...PLAIN, cursor: { epoch: 0, batch: 9 } })).rejects.toThrow(
      "the place in the data does not exist: cursor: seen batch 9 of epoch 0",
    );
  }));

test("openDataset leaves broken pictures out and lists them, and finds what it found again", () =>
  withFolder(async (folder) => {
    const data = await makeData(folder);
    const noise = Uint8Array.from({ length: 3 * 64 * 64 }, (_, i) => (i * 7919) % 251);
    const jpeg = await encodePixels({ width: 64, height: 64, data: noise }, "jpeg");
    await writeFile(join(data, "cut.jpg"), jpeg.subarray(0, jpeg.length / 2));
    await writeFile(join(data, "cut.txt"), "half");
    await writeFile(join(data, "empty.png"), "");
    await writeFile(join(data, "noise.webp"), "no picture");
    let looks = 0;
    const request = { ...options(folder, data), onProgress: () => looks++ };
    const dataset = await openDataset(request);
    expect(dataset.skipped.map(({ key, reason }) => [key, reason])).toEqual([
      ["cut.jpg", "unreadable"],
      ["empty.png", "unreadable"],
      ["noise.webp", "unreadable"],
    ]);
    expect([dataset.samples.length, looks]).toEqual([25, 28]);
    expect(await openDataset(request)).toEqual(dataset);
    expect(looks).toBe(28);
    await utimes(join(data, "plain.png"), 1, 1);
    await openDataset(request);
    expect(looks).toBe(56);
    expect((await readdir(join(folder, "cache"))).length).toBe(2);
  }));

test("openDataset treats pictures without captions as the policy says", () =>
  withFolder(async (folder) => {
    const data = await makeData(folder);
    await writeFile(join(data, "bare.png"), await plainFile([1, 2, 3], 32, 32));
    await writeFile(join(data, "blank.png"), await plainFile([4, 5, 6], 32, 32));
    await writeFile(join(data, "blank.txt"), " \n\n");
    const open = (captions: "skip" | "empty" | "error") =>
      openDataset({ ...options(folder, data), captions });
    expect((await open("skip")).skipped.map(({ key, reason }) => [key, reason])).toEqual([
      ["bare.png", "no caption"],
      ["blank.png", "no caption"],
    ]);
    const empty = await open("empty");
    expect([empty.samples.length, empty.skipped.length]).toEqual([27, 0]);
    const batches = await take({ dataset: empty, ...PLAIN }, 8);
    const bare = batches.flatMap(({ keys, texts }) => texts.filter((_, i) => keys[i] === "bare.png"));
    expect(bare.length).toBeGreaterThan(0);
    expect(bare.every((text) => text === undefined)).toBe(true);
    await expect(open("error")).rejects.toThrow("a picture has no caption: bare.png");
  }));

test("openDataset tells of folders without pictures, missing ones and broken captions", () =>
  withFolder(async (folder) => {
    const open = (source: string) => openDataset(options(folder, source));
    await expect(open(folder)).rejects.toMatchObject({ code: "input_missing" });
    await expect(open(join(folder, "none"))).rejects.toMatchObject({ code: "file_missing" });
    const bad = join(folder, "bad");
    await mkdir(bad);
    await writeFile(join(bad, "a.png"), "broken");
    await expect(open(bad)).rejects.toThrow("no picture of the data can be used");
    await writeFile(join(bad, "b.png"), await plainFile([1, 2, 3], 32, 32));
    await writeFile(join(bad, "b.json"), "{");
    const failure = await open(bad).catch((error: unknown) => error);
    expect((failure as KandinskyError).message).toContain("cannot read the captions: b.png");
  }));
