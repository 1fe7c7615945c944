import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { buildGraph, reshape, slice } from "../graph/mod.ts";
import { decodePicture, readMetadata, resizePicture } from "../image/mod.ts";
import { encodeOnnx } from "../onnx/mod.ts";
import { Kandinsky3, openLocalFile } from "../pipelines/mod.ts";
import { inspectFilm } from "../video/mod.ts";
import { type AnimateRequest, animate, beginFilm, begunFilm, type FilmEvent, goOnWith } from "./mod.ts";
import { contents, placeOf, TINY, temporaryFolder } from "./test-support.ts";

const REQUEST: AnimateRequest = {
  operation: "animate",
  prompts: [
    ["0", "a fox"],
    ["4", "a wolf"],
  ],
  seed: 3,
  steps: 4,
  motion: {
    frames: 7,
    frameRate: 12,
    cadence: 2,
    mode: "2D",
    motion: { zoom: "1.03", angle: "t/2" },
    strength: 0.3,
    noise: 0.05,
  },
};

const FILM = { file: "film.webm", frameRate: 12 };

test("animate: frames and film are there, and a film stopped after each event goes on to the same bytes", {
  timeout: 240_000,
}, async () => {
  await using model = await Kandinsky3.load({ model: TINY, threads: 1 });
  const whole = join(temporaryFolder(), "whole");
  const events: FilmEvent[] = [];
  const job = await beginFilm(REQUEST, placeOf(model, whole, FILM), false);
  for await (const event of animate(model, job, { open: openLocalFile })) events.push(event);
  expect(
    events.filter(({ type }) => type === "drawn").map((event) => "frame" in event && event.frame),
  ).toEqual([0, 2, 4, 6]);
  expect(events.filter(({ type }) => type === "frame").length).toBe(7);
  expect(events.at(-1)).toEqual({ type: "film", file: join(whole, "film.webm"), frames: 7 });
  expect((await inspectFilm(join(whole, "film.webm"))).seconds).toBeCloseTo(7 / 12, 3);
  const drawn = readMetadata(readFileSync(join(whole, "drawn/000002.png"))).json;
  expect(drawn).toMatchObject({
    operation: "edit",
    request: { prompt: "a fox", mix: { prompt: "a wolf", weight: 0.5 }, seed: 3 },
  });
  const frame = readMetadata(readFileSync(join(whole, "frames/000003.png"))).json;
  expect(frame).toMatchObject({ operation: "animate", frame: 3, request: { seed: 3, steps: 4 } });

  const stopped = join(temporaryFolder(), "stopped");
  let begun = await beginFilm(REQUEST, placeOf(model, stopped, FILM), false);
  for (let run = 0, done = false; !done && run < 40; run++) {
    done = true;
    for await (const event of animate(model, begun, { open: openLocalFile })) {
      // Each run gets as far as one picture more.
      if (event.type !== "drawn" && event.type !== "frame") continue;
      done = false;
      break;
    }
    begun = await begunFilm(stopped);
    await goOnWith(begun, model.info);
  }
  expect(contents(stopped)).toEqual(contents(whole));
});

test("beginFilm refuses folders of other jobs and requests that cannot be films, before anything is drawn", async () => {
  await using model = await Kandinsky3.load({ model: TINY, threads: 1 });
  const folder = join(temporaryFolder(), "film");
  const place = placeOf(model, folder, FILM);
  const begin = (change: object, resume = false) =>
    beginFilm({ ...REQUEST, ...change } as AnimateRequest, place, resume);
  for (const [change, message] of [
    [{ motion: { ...REQUEST.motion, frames: 0 } }, "a film needs frames"],
    [{ motion: { motion: { zoom: "1/0" } } }, "division by zero"],
    [
      {
        prompts: [
          ["9", "a"],
          ["4", "b"],
        ],
      },
      "frame 4 behind frame 9",
    ],
    [{ steps: 0 }, "steps"],
    [{ width: 63 }, "a multiple of"],
    [{ image: "none.png" }, "none.png"],
  ] as const) {
    await expect(begin(change), message).rejects.toThrow(message);
  }
  await expect(
    beginFilm(REQUEST, { ...place, film: { file: "a.webm", frameRate: 0 } }, false),
  ).rejects.toThrow("frame rate");
  await expect(
    beginFilm(REQUEST, { ...place, film: { file: "a.mpg", frameRate: 9 } }, false),
  ).rejects.toThrow(".mpg");
  await begin({});
  await expect(begin({})).rejects.toMatchObject({
    code: "output_exists",
    parts: { seen: "this film, begun" },
  });
  await expect(begin({ seed: 4 }, true)).rejects.toMatchObject({
    code: "output_exists",
    parts: { seen: "another film: settings.seed 3" },
  });
  await begin({}, true);
  const used = temporaryFolder();
  writeFileSync(join(used, "letter.txt"), "");
  await expect(beginFilm(REQUEST, { ...place, folder: used }, true)).rejects.toThrow("letter.txt");
  await expect(begunFilm(used)).rejects.toMatchObject({ code: "file_missing" });
  writeFileSync(join(used, "film.json"), "{}");
  await expect(begunFilm(used)).rejects.toMatchObject({ code: "file_corrupt" });
});

test("animate begins from a picture that is given", { timeout: 120_000 }, async () => {
  await using model = await Kandinsky3.load({ model: TINY, threads: 1 });
  const folder = temporaryFolder();
  const first = join(TINY, "../pipelines");
  const image = join(first, readdirSync(first).find((name) => name.endsWith(".png"))!);
  const request = {
    ...REQUEST,
    image,
    motion: { frames: 2, cadence: 1, strength: "0: (0), 1: (0)", amount: 0, coherence: "none" },
  } as const;
  const job = await beginFilm(request, placeOf(model, join(folder, "film"), FILM), false);
  const events: FilmEvent[] = [];
  for await (const event of animate(model, job, { open: openLocalFile })) events.push(event);
  // With strength 0 nothing is drawn anew.
  expect(events.some(({ type }) => type === "drawing")).toBe(false);
  const { width, height } = job.settings;
  const shown = await decodePicture(readFileSync(join(folder, "film/frames/000001.png")));
  const given = await resizePicture(await decodePicture(readFileSync(image)), width, height);
  expect(Buffer.from(shown.data).equals(given.data)).toBe(true);
});

test("animate moves over the depth that a network tells, which the film knows by its hash", {
  timeout: 120_000,
}, async () => {
  await using model = await Kandinsky3.load({ model: TINY, threads: 1 });
  const folder = temporaryFolder();
  const graph = buildGraph((builder) => ({
    depth: reshape(slice(builder.input("picture", "float32", [1, 3, 32, 32]), 1, 0, 1), [1, 32, 32]),
  }));
  const depth = join(folder, "depth.onnx");
  const save = (bytes: Uint8Array) => writeFileSync(depth, bytes);
  save(
    encodeOnnx(graph, (name) => {
      throw new Error(`no weight ${name}`);
    }),
  );
  const motion = { frames: 2, cadence: 2, mode: "3D", motion: { translationX: 20 } } as const;
  const film = async (name: string, change: object) => {
    const request = { ...REQUEST, prompts: "a fox", motion, ...change } as AnimateRequest;
    const job = await beginFilm(request, placeOf(model, join(folder, name), FILM), false);
    for await (const _ of animate(model, job, { open: openLocalFile, threads: 1 }));
    return ["000000", "000001"].map((frame) => readFileSync(join(folder, name, "frames", `${frame}.png`)));
  };
  const pixels = async (png: Uint8Array) => Buffer.from((await decodePicture(png)).data);
  const [first, moved] = await film("plane", {});
  const [deepFirst, deepMoved] = await film("deep", { depth });
  expect((await pixels(deepFirst!)).equals(await pixels(first!))).toBe(true);
  expect((await pixels(deepMoved!)).equals(await pixels(moved!))).toBe(false);
  expect(readMetadata(deepMoved!).json).toMatchObject({ request: { depth: { file: "depth.onnx" } } });

  const begun = await begunFilm(join(folder, "deep"));
  save(new TextEncoder().encode("another"));
  const goOn = animate(model, begun as never, { open: openLocalFile })[Symbol.asyncIterator]();
  await expect(goOn.next()).rejects.toMatchObject({ code: "picture_unfit", parts: { where: depth } });
  await expect(film("broken", { depth })).rejects.toMatchObject({ code: "model_config" });
  await expect(film("absent", { depth: join(folder, "none.onnx") })).rejects.toThrow("none.onnx");
  await expect(film("flat", { depth, motion: { ...motion, mode: "2D", motion: {} } })).rejects.toThrow(
    "3-D motion",
  );
  expect(readdirSync(folder).sort()).toEqual(["deep", "depth.onnx", "plane"]);
});
