import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Header, pack } from "tar-stream";
import { expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { readStretch } from "./read.node.ts";
import { listShard } from "./tar.node.ts";
import { streamed, withFolder } from "./test-support.ts";
import { writeShard } from "./write.node.ts";

const SAMPLES = Array.from({ length: 5 }, (_, i) => ({
  key: `00000${i}`,
  members: {
    png: new Uint8Array(700 + i).fill(i + 1),
    "ru.txt": `подпись ${i}`,
    json: JSON.stringify({ caption: `text ${i}` }),
    cls: "7",
  },
}));

async function tarOf(members: readonly (Partial<Header> & { name: string; content?: string })[]) {
  const tar = pack();
  for (const { content = "", ...header } of members) tar.entry(header, content);
  tar.finalize();
  const parts: Uint8Array[] = [];
  for await (const part of tar) parts.push(part as Uint8Array);
  return Buffer.concat(parts);
}

async function failureOf(path: string): Promise<KandinskyError> {
  const failure = await listShard(path).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(KandinskyError);
  return failure as KandinskyError;
}

test("listShard finds what writeShard wrote, where it lies", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.tar");
    await writeShard(path, streamed(SAMPLES));
    const samples = await listShard(path);
    expect(samples.map(({ key }) => key)).toEqual(SAMPLES.map(({ key }) => `a.tar:${key}`));
    for (const [i, { picture, texts }] of samples.entries()) {
      expect(await readStretch(picture)).toEqual(SAMPLES[i]!.members.png);
      expect(Object.keys(texts)).toEqual(["ru.txt", "json"]);
      expect(new TextDecoder().decode(await readStretch(texts["ru.txt"]!))).toBe(`подпись ${i}`);
    }
  }));

test("listShard reads long names and folders, and leaves samples without a picture out", () =>
  withFolder(async (folder) => {
    const path = join(folder, "a.tar");
    const long = `dir.v1/${"x".repeat(150)}`;
    await writeFile(
      path,
      await tarOf([
        { name: "dir.v1/", type: "directory" },
        { name: `${long}.JPG`, content: "picture" },
        { name: `${long}.txt`, content: "text" },
        { name: "alone.txt", content: "no picture" },
      ]),
    );
    const samples = await listShard(path);
    expect(samples.map(({ key }) => key)).toEqual([`a.tar:${long}`]);
    expect(new TextDecoder().decode(await readStretch(samples[0]!.picture))).toBe("picture");
  }));

test("listShard tells of a shard cut anywhere", () =>
  withFolder(async (folder) => {
    const whole = join(folder, "whole.tar");
    await writeShard(whole, streamed(SAMPLES));
    const bytes = await readFile(whole);
    // In a header, in a member's data, in padding, between members, and before the closing blocks.
    for (const length of [200, 800, 1300, 1536, 5120, bytes.length - 1024]) {
      const path = join(folder, `cut-${length}.tar`);
      await writeFile(path, bytes.subarray(0, length));
      const { code, message } = await failureOf(path);
      expect(code, `cut at ${length}`).toBe("file_corrupt");
      expect(message, `cut at ${length}`).toContain(`the shard is cut short: ${path}: seen ${length} bytes`);
    }
    expect((await failureOf(join(folder, "cut-5120.tar"))).message).toContain('the last "00000');
  }));

test("listShard refuses links, devices, names that lead elsewhere and huge captions", () =>
  withFolder(async (folder) => {
    const path = join(folder, "bad.tar");
    for (const member of [
      { name: "a.png", type: "symlink", linkname: "/etc/passwd" },
      { name: "a.png", type: "link", linkname: "b.png" },
      { name: "a.png", type: "character-device" },
      { name: "../a.png" },
      { name: "/a.png" },
      { name: "b\\a.png" },
      { name: "a.txt", content: "x".repeat(2 ** 20 + 1) },
    ] as const) {
      await writeFile(path, await tarOf([member]));
      expect((await failureOf(path)).code, JSON.stringify(member).slice(0, 60)).toBe("file_unsafe");
    }
  }));

test("listShard refuses parted samples, other files and missing ones", () =>
  withFolder(async (folder) => {
    const path = join(folder, "bad.tar");
    await writeFile(path, await tarOf([{ name: "a.png" }, { name: "b.png" }, { name: "a.txt" }]));
    expect((await failureOf(path)).message).toContain('"a" again after other samples');
    await writeFile(path, "no tar at all".repeat(100));
    expect((await failureOf(path)).code).toBe("file_corrupt");
    expect((await failureOf(join(folder, "none.tar"))).code).toBe("file_missing");
  }));

test("writeShard gives equal bytes for equal samples and leaves nothing of a failed one", () =>
  withFolder(async (folder) => {
    await writeShard(join(folder, "a.tar"), streamed(SAMPLES));
    await writeShard(join(folder, "b.tar"), streamed(SAMPLES));
    expect(await readFile(join(folder, "a.tar"))).toEqual(await readFile(join(folder, "b.tar")));
    const failures: [string, string][] = [
      ["a.tar", "output_exists"],
      ["missing/c.tar", "output_unwritable"],
    ];
    for (const [name, code] of failures) {
      await expect(writeShard(join(folder, name), streamed(SAMPLES))).rejects.toMatchObject({ code });
    }
    await expect(
      writeShard(join(folder, "c.tar"), streamed([{ key: "a.b", members: {} }])),
    ).rejects.toMatchObject({ code: "option_invalid" });
    const breaking = (async function* () {
      yield SAMPLES[0]!;
      throw new Error("no more");
    })();
    await expect(writeShard(join(folder, "c.tar"), breaking)).rejects.toThrow("no more");
    expect((await readdir(folder)).sort()).toEqual(["a.tar", "b.tar"]);
  }));
