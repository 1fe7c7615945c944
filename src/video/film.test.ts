import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import type { Picture } from "../image/mod.ts";
import { inspectFilm, readFilm, readFilmSettings, writeFilm } from "./mod.ts";
import { film, meanDifference, readWithFfmpeg, temporaryFolder, waves } from "./test-support.ts";

async function framesOf(path: string): Promise<{ pictures: Picture[]; seconds: number[] }> {
  const pictures: Picture[] = [];
  const seconds: number[] = [];
  for await (const frame of readFilm(path)) {
    pictures.push(frame.picture);
    seconds.push(frame.seconds);
  }
  return { pictures, seconds };
}

test.each([
  ["webm", 24, 31],
  ["mp4", 30, 10],
  ["gif", 24, 25],
  ["webp", 24, 25],
  ["webm", 7.5, 1],
] as const)(
  "writeFilm and readFilm: %s at %d frames/s keeps %d frames, their times and colours",
  async (format, frameRate, count) => {
    const path = join(temporaryFolder(), `film.${format}`);
    // Odd sides: the colour planes are rounded up.
    expect(await writeFilm(path, film(67, 45, count), { frameRate, quality: 90 })).toBe(path);
    const { pictures, seconds } = await framesOf(path);
    expect(pictures.length).toBe(count);
    const unit = format === "gif" ? 0.01 : 0.001;
    for (const [i, time] of seconds.entries()) {
      expect(Math.abs(time - i / frameRate), `time of frame ${i}`).toBeLessThanOrEqual(unit / 2 + 1e-9);
    }
    const worst = pictures.map((picture, i) => meanDifference(picture, waves(67, 45, i)));
    expect(Math.max(...worst), `worst mean difference of ${worst.map((x) => x.toFixed(1))}`).toBeLessThan(6);
    const info = await inspectFilm(path);
    expect([info.width, info.height]).toEqual([67, 45]);
    expect(Math.abs(info.seconds - count / frameRate), `${info.seconds} s`).toBeLessThanOrEqual(unit);
  },
);

test("writeFilm: FFmpeg's demuxer finds the same frames, times and length in a WebM", async () => {
  const path = join(temporaryFolder(), "film.webm");
  await writeFilm(path, film(64, 48, 49), { frameRate: 24 });
  const { frames, sizes, times, seconds } = await readWithFfmpeg(path);
  expect(frames).toBe(49);
  expect([...sizes]).toEqual(["64x48"]);
  const late = Math.max(...times.map((time, i) => Math.abs(time - i / 24)));
  expect(late, "worst time").toBeLessThanOrEqual(0.0005 + 1e-9);
  expect(Math.abs(seconds - 49 / 24), `${seconds} s`).toBeLessThanOrEqual(0.001);
});

test("writeFilm: libwebp and sharp's GIF reader find the same pages, delays and loops", async () => {
  const folder = temporaryFolder();
  for (const [format, loop] of [
    ["gif", 0],
    ["gif", 1],
    ["gif", 3],
    ["webp", 0],
    ["webp", 3],
  ] as const) {
    const path = join(folder, `${format}-${loop}.${format}`);
    await writeFilm(path, film(40, 30, 13), { frameRate: 12, loop });
    const { pages, delay = [], loop: told } = await sharp(path).metadata();
    expect(pages).toBe(13);
    expect(told).toBe(loop);
    expect(
      delay.reduce((sum, ms) => sum + ms, 0),
      `${format}: ${delay}`,
    ).toBe(format === "gif" ? 1080 : 1083);
  }
});

test("writeFilm gives equal bytes for equal frames", async () => {
  const folder = temporaryFolder();
  for (const format of ["webm", "gif", "webp"]) {
    const paths = ["a", "b"].map((name) => join(folder, `${name}.${format}`));
    for (const path of paths) await writeFilm(path, film(64, 64, 9), { frameRate: 24 });
    expect(readFileSync(paths[0]!).equals(readFileSync(paths[1]!)), format).toBe(true);
  }
});

test("readFilmSettings gives what writeFilm was given, and says where there is nothing", async () => {
  const folder = temporaryFolder();
  const json = { kandinsky: 1, prompt: "лиса \u{1f98a}, a fox".repeat(40) };
  const about = { prompt: "a fox", negativePrompt: "", steps: 2, sampler: "DDPM", guidance: 1, seed: 3 };
  const metadata = { ...about, width: 16, height: 16, model: "tiny", json };
  for (const format of ["webm", "mp4", "gif", "webp"]) {
    const path = join(folder, `with.${format}`);
    await writeFilm(path, film(16, 16, 3), { frameRate: 24, metadata });
    expect(await readFilmSettings(path), format).toEqual(json);
    expect((await framesOf(path)).pictures.length, format).toBe(3);
    const bare = join(folder, `without.${format}`);
    await writeFilm(bare, film(16, 16, 3), { frameRate: 24 });
    await expect(readFilmSettings(bare), format).rejects.toMatchObject({ code: "input_missing" });
  }
  await expect(readFilmSettings(join(folder, "none.gif"))).rejects.toMatchObject({ code: "file_missing" });
});

test("writeFilm: more quality is nearer to the frames, in a larger file", async () => {
  const folder = temporaryFolder();
  const results = [];
  for (const quality of [10, 95]) {
    const path = join(folder, `${quality}.webm`);
    await writeFilm(path, film(96, 96, 8), { frameRate: 24, quality });
    const { pictures } = await framesOf(path);
    const errors = pictures.map((picture, i) => meanDifference(picture, waves(96, 96, i)));
    results.push({ bytes: readFileSync(path).length, error: errors.reduce((a, b) => a + b) / errors.length });
  }
  expect(results[1]!.error, JSON.stringify(results)).toBeLessThan(results[0]!.error);
  expect(results[1]!.bytes).toBeGreaterThan(results[0]!.bytes);
});

test("writeFilm carries sound over, as long as the film, and says what cannot go in", async () => {
  const folder = temporaryFolder();
  const sound = join(folder, "tone.flac");
  writeFileSync(sound, flacTone(44_100, 3));
  const mp4 = join(folder, "a.mp4");
  await writeFilm(mp4, film(32, 32, 24), { frameRate: 24, audio: sound });
  const { ALL_FORMATS, FilePathSource, Input } = await import("mediabunny");
  const input = new Input({ source: new FilePathSource(mp4), formats: ALL_FORMATS });
  const track = await input.getPrimaryAudioTrack();
  expect(await track?.getCodec()).toBe("flac");
  const seconds = (await track?.computeDuration()) ?? 0;
  expect(Math.abs(seconds - 1), `${seconds} s of sound`).toBeLessThan(0.11);
  input.dispose();
  await expect(
    writeFilm(join(folder, "b.webm"), film(32, 32, 4), { frameRate: 24, audio: sound }),
  ).rejects.toMatchObject({ code: "option_invalid", parts: { seen: "flac for webm", where: sound } });
  writeFileSync(join(folder, "text.ogg"), "no sound at all");
  await expect(
    writeFilm(join(folder, "c.webm"), film(32, 32, 4), { frameRate: 24, audio: join(folder, "text.ogg") }),
  ).rejects.toMatchObject({ code: "file_corrupt" });
  await expect(
    writeFilm(join(folder, "d.webm"), film(32, 32, 4), { frameRate: 24, audio: join(folder, "none.ogg") }),
  ).rejects.toMatchObject({ code: "file_missing" });
  expect(readdirSync(folder).sort()).toEqual(["a.mp4", "text.ogg", "tone.flac"]);
});

/** FLAC of constant subframes: a stream whose every sample is one value, 4096 samples a frame. */
function flacTone(rate: number, seconds: number): Uint8Array {
  const info = new Uint8Array(34);
  const view = new DataView(info.buffer);
  view.setUint16(0, 4096);
  view.setUint16(2, 4096);
  const frames = Math.ceil((rate * seconds) / 4096);
  const total = frames * 4096;
  // 20 bits of rate, 3 of channels - 1, 5 of bits - 1, 36 of samples.
  view.setUint32(10, (rate << 12) | (0 << 9) | (15 << 4));
  view.setUint32(14, total);
  const parts: Uint8Array[] = [Uint8Array.from([0x66, 0x4c, 0x61, 0x43, 0x80, 0, 0, 34]), info];
  for (let i = 0; i < frames; i++) parts.push(flacFrame(i));
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function flacFrame(number: number): Uint8Array {
  // Fixed blocks of 4096 samples, the stream's rate, mono, 16 bits; a number below 128 is one byte.
  const header = [0xff, 0xf8, 0xc0, 0x08, number];
  const body = [...header, crc(header, 8, 0x07), 0x00, 0x10, 0x00];
  const check = crc(body, 16, 0x8005);
  return Uint8Array.from([...body, check >> 8, check & 0xff]);
}

function crc(bytes: readonly number[], bits: number, polynomial: number): number {
  const top = 1 << (bits - 1);
  let value = 0;
  for (const byte of bytes) {
    value ^= byte << (bits - 8);
    for (let i = 0; i < 8; i++)
      value = ((value & top) === 0 ? value << 1 : (value << 1) ^ polynomial) & (2 * top - 1);
  }
  return value;
}

test("writeFilm refuses what cannot be a film, and leaves nothing", async () => {
  const folder = temporaryFolder();
  const to = (name: string) => join(folder, name);
  const cases = [
    ["a.webm", film(8, 8, 0), { frameRate: 24 }, "input_missing", "a film needs frames"],
    ["a.webm", film(8, 8, 2), { frameRate: 0 }, "option_invalid", "frame rate"],
    ["a.webm", film(8, 8, 2), { frameRate: Number.NaN }, "option_invalid", "frame rate"],
    ["a.gif", film(8, 8, 2), { frameRate: 60 }, "option_invalid", "at most 50 for gif"],
    ["a.webm", film(8, 8, 2), { frameRate: 24, quality: 0 }, "option_invalid", "quality"],
    ["a.webm", film(8, 8, 2), { frameRate: 24, loop: 0 }, "option_invalid", "a .gif or .webp"],
    ["a.gif", film(8, 8, 2), { frameRate: 24, audio: "x.ogg" }, "option_invalid", "a .webm or .mp4"],
    ["a.wbm", film(8, 8, 2), { frameRate: 24 }, "option_invalid", "did you mean .webm"],
    ["a", film(8, 8, 2), { frameRate: 24 }, "option_invalid", "no ending"],
    ["no/a.webm", film(8, 8, 2), { frameRate: 24 }, "output_unwritable", "no folder"],
    ["a.webm", [waves(8, 8, 0), waves(9, 8, 1)], { frameRate: 24 }, "option_invalid", "seen 9x8, wanted 8x8"],
  ] as const;
  for (const [name, frames, options, code, text] of cases) {
    await expect(writeFilm(to(name), frames, options), `${name}: ${text}`).rejects.toMatchObject({
      code,
      message: expect.stringContaining(text),
    });
  }
  const broken = async function* () {
    yield waves(8, 8, 0);
    throw new Error("frame 2 is gone");
  };
  await expect(writeFilm(to("a.webm"), broken(), { frameRate: 24 })).rejects.toThrow("frame 2 is gone");
  expect(readdirSync(folder)).toEqual([]);
  await writeFilm(to("a.gif"), film(8, 8, 2), { frameRate: 24 });
  await expect(writeFilm(to("a.gif"), film(8, 8, 2), { frameRate: 24 })).rejects.toMatchObject({
    code: "output_exists",
  });
  await writeFilm(to("a.gif"), film(8, 8, 3), { frameRate: 24, overwrite: true });
  expect((await sharp(to("a.gif")).metadata()).pages).toBe(3);
});

test("readFilm says what it cannot read", async () => {
  const folder = temporaryFolder();
  const read = async (name: string) => framesOf(join(folder, name));
  for (const name of ["no.webm", "no.gif"])
    await expect(read(name)).rejects.toMatchObject({ code: "file_missing" });
  for (const name of ["text.webm", "text.gif"]) {
    writeFileSync(join(folder, name), "no film");
    await expect(read(name)).rejects.toMatchObject({ code: "file_corrupt" });
  }
});
