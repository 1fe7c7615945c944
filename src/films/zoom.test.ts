import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { decodePicture, readMetadata } from "../image/mod.ts";
import { zoomPlaces } from "../motion/mod.ts";
import { Kandinsky3, openLocalFile } from "../pipelines/mod.ts";
import { inspectFilm } from "../video/mod.ts";
import { beginFilm, begunFilm, type FilmEvent, goOnWith, runFilm, type ZoomRequest } from "./mod.ts";
import { contents, placeOf, TINY, temporaryFolder } from "./test-support.ts";

const REQUEST: ZoomRequest = {
  operation: "zoom",
  prompts: ["a fox", "a wood"],
  keys: 3,
  tweens: 4,
  seed: 2,
  steps: 2,
};

const FILM = { file: "film.webp", frameRate: 8 };

test("zoom: each key frame holds the one before, the film flies over them, and a stopped film ends up equal", {
  timeout: 240_000,
}, async () => {
  await using model = await Kandinsky3.load({ model: TINY, threads: 1 });
  const whole = join(temporaryFolder(), "whole");
  const job = await beginFilm(REQUEST, placeOf(model, whole, FILM), false);
  const events: FilmEvent[] = [];
  for await (const event of runFilm(model, job, { open: openLocalFile })) events.push(event);
  expect(events.filter(({ type }) => type === "drawn").length).toBe(3);
  expect(events.at(-1)).toMatchObject({ type: "film", frames: 9 });
  expect((await inspectFilm(join(whole, "film.webp"))).seconds).toBeCloseTo(9 / 8, 2);
  expect(readMetadata(readFileSync(join(whole, "drawn/000001.png"))).json).toMatchObject({
    operation: "inpaint",
    request: { prompt: "a wood", seed: 3 },
  });
  // At a key frame the film shows it, with the sharper one before in its middle.
  const [key, shown] = await Promise.all(
    ["drawn/000000.png", "frames/000000.png"].map(async (name) =>
      decodePicture(readFileSync(join(whole, name))),
    ),
  );
  expect(Buffer.from(shown!.data).equals(key!.data)).toBe(true);
  expect(zoomPlaces(job.settings as never).length).toBe(9);

  const stopped = join(temporaryFolder(), "stopped");
  let begun = await beginFilm(REQUEST, placeOf(model, stopped, FILM), false);
  for (let run = 0, done = false; !done && run < 40; run++) {
    done = true;
    for await (const event of runFilm(model, begun, { open: openLocalFile })) {
      if (event.type !== "drawn" && event.type !== "frame") continue;
      done = false;
      break;
    }
    begun = await begunFilm(stopped);
    await goOnWith(begun, model.info);
  }
  expect(contents(stopped)).toEqual(contents(whole));

  const inward = join(temporaryFolder(), "in");
  const reversed = await beginFilm({ ...REQUEST, direction: "in" }, placeOf(model, inward, FILM), false);
  for await (const _ of runFilm(model, reversed, { open: openLocalFile }));
  for (let frame = 0; frame < 9; frame++) {
    const name = (n: number) => `frames/${String(n).padStart(6, "0")}.png`;
    const [a, b] = await Promise.all([
      decodePicture(readFileSync(join(whole, name(frame)))),
      decodePicture(readFileSync(join(inward, name(8 - frame)))),
    ]);
    expect(Buffer.from(a.data).equals(b.data), `frame ${frame}`).toBe(true);
  }
});
