import { deflateSync } from "node:zlib";
import sharp from "sharp";
import { expect, test } from "vitest";
import { encodePicture, encodePixels } from "./codec.ts";
import { readMetadata } from "./metadata.ts";
import { formatParameters } from "./parameters.ts";
import { addPngText } from "./png-text.node.ts";
import { gradient, metadataOf } from "./test-support.ts";

const FORMATS = ["png", "webp", "jpeg"] as const;
const PICTURE = gradient(48, 32);

const PROMPTS: readonly (readonly [name: string, prompt: string, negative: string])[] = [
  ["plain", "a red cat", "blurry"],
  ["no negative", "a red cat", ""],
  ["Latin-1", "café ÿ ¡olé!", "naïve"],
  ["Cyrillic", "рыжий кот и «пёс»", "размыто, плохо"],
  ["beyond 16 bits", "кот 🐈 and 𝄞", ""],
  ["quotes and line breaks", 'say "hi"\n\\n, it\'s\r\n\ttwo\n', '"\n"'],
  ["like parameters", "cat\nNegative prompt: x\nSteps: 9, Sampler: y, CFG scale: 1, Seed: 2", "Steps: 1"],
  ["empty", "", ""],
  ["zero byte", "a\u0000b", ""],
  ["long", "кот ".repeat(1500), ""],
];

test("readMetadata returns both texts exactly from each format", async () => {
  for (const [name, prompt, negative] of PROMPTS) {
    const metadata = metadataOf(prompt, negative);
    for (const format of FORMATS) {
      const read = readMetadata(await encodePicture(PICTURE, format, metadata));
      expect(read, `${name}, ${format}`).toEqual({
        parameters: formatParameters(metadata),
        json: metadata.json,
      });
    }
  }
});

test("encodePicture writes tEXt where the text is Latin-1 and iTXt where not", async () => {
  const kinds = async (prompt: string) => {
    const text = Buffer.from(await encodePicture(PICTURE, "png", metadataOf(prompt))).toString("latin1");
    return [...text.matchAll(/(.Xt|tEXt|iTXt)(parameters|kandinsky)\0/g)].map((m) => `${m[1]} ${m[2]}`);
  };
  expect(await kinds("café")).toEqual(["tEXt parameters", "tEXt kandinsky"]);
  expect(await kinds("кот")).toEqual(["iTXt parameters", "iTXt kandinsky"]);
});

test("encodePicture writes EXIF that sharp's own reader finds", async () => {
  for (const format of ["webp", "jpeg"] as const) {
    const bytes = await encodePicture(PICTURE, format, metadataOf("кот"));
    const { exif, width, height } = await sharp(bytes).metadata();
    expect([width, height], format).toEqual([48, 32]);
    expect(exif?.toString("latin1"), format).toContain("UNICODE\0");
    expect(exif?.toString("latin1"), format).toContain('kandinsky:{"prompt":"\\u043a\\u043e\\u0442"');
  }
});

test("encodePicture refuses settings that no JPEG can hold", async () => {
  const metadata = metadataOf("a".repeat(65536));
  await expect(encodePicture(PICTURE, "jpeg", metadata)).rejects.toMatchObject({ code: "option_invalid" });
  expect(readMetadata(await encodePicture(PICTURE, "webp", metadata)).json).toEqual(metadata.json);
});

test("readMetadata reads another tool's parameters, compressed or not", async () => {
  const plain = await encodePixels(PICTURE, "png");
  expect(readMetadata(addPngText(plain, [["parameters", "a dog"]]))).toEqual({ parameters: "a dog" });
  const packed = deflateSync(Buffer.from("чужой пёс"));
  const bodies = [
    ["zTXt", Buffer.concat([Buffer.from("parameters\0\0"), deflateSync(Buffer.from("a dog"))]), "a dog"],
    ["iTXt", Buffer.concat([Buffer.from("parameters\0\u0001\0ru\0ключ\0"), packed]), "чужой пёс"],
  ] as const;
  for (const [type, body, wanted] of bodies) {
    expect(readMetadata(insertChunk(plain, type, body)), type).toEqual({ parameters: wanted });
  }
});

test("readMetadata reads an ASCII comment and lets a camera's description be", async () => {
  const photo = await sharp(PICTURE.data, { raw: { width: 48, height: 32, channels: 3 } })
    .withExif({ IFD0: { ImageDescription: "a camera" }, IFD2: { UserComment: "a dog" } })
    .jpeg()
    .toBuffer();
  expect(readMetadata(photo)).toEqual({ parameters: "a dog" });
});

test("readMetadata tells a picture without settings from a damaged one", async () => {
  for (const format of FORMATS) {
    const plain = await encodePixels(PICTURE, format);
    expect(() => readMetadata(plain, "in.img"), format).toThrow(
      expect.objectContaining({ code: "input_missing", message: expect.stringContaining("in.img") }),
    );
    const bytes = await encodePicture(PICTURE, format, metadataOf("кот"));
    for (const end of [13, 60, format === "jpeg" ? 200 : bytes.length - 1]) {
      expect(() => readMetadata(bytes.subarray(0, end), "in.img"), `${format} of ${end} bytes`).toThrow(
        expect.objectContaining({ code: "file_corrupt", message: expect.stringContaining("in.img") }),
      );
    }
  }
  for (const bytes of [new Uint8Array(0), Buffer.from("GIF89a"), Buffer.from("a text")]) {
    expect(() => readMetadata(bytes, "in.img")).toThrow(expect.objectContaining({ code: "file_corrupt" }));
  }
});

test("readMetadata refuses a changed byte of a PNG text", async () => {
  const bytes = Buffer.from(await encodePicture(PICTURE, "png", metadataOf("a red cat")));
  bytes.write("b", bytes.indexOf("red cat"));
  expect(() => readMetadata(bytes)).toThrow(expect.objectContaining({ code: "file_corrupt" }));
});

test("readMetadata refuses JSON that is none and EXIF that is none", async () => {
  const plain = await encodePixels(PICTURE, "png");
  expect(() => readMetadata(addPngText(plain, [["kandinsky", '{"seed":']]))).toThrow(
    expect.objectContaining({ code: "file_corrupt", message: expect.stringContaining('{"seed":') }),
  );
  const jpeg = Buffer.from(await encodePicture(PICTURE, "jpeg", metadataOf("кот")));
  jpeg.write("XX", 12, "latin1");
  expect(() => readMetadata(jpeg)).toThrow(expect.objectContaining({ code: "file_corrupt" }));
});

test("readMetadata never fails otherwise, whichever byte is changed or missing", async () => {
  for (const format of FORMATS) {
    const good = await encodePicture(gradient(3, 2), format, metadataOf("кот"));
    for (let at = 0; at < good.length; at++) {
      const flipped = Uint8Array.from(good);
      flipped[at] = flipped[at]! ^ 0xff;
      for (const bytes of [flipped, good.subarray(0, at)]) {
        try {
          readMetadata(bytes);
        } catch (error) {
          expect(error, `${format}, byte ${at}`).toMatchObject({ name: "KandinskyError" });
        }
      }
    }
  }
});

test("formatParameters is read back by the rules of A1111's reader", () => {
  const metadata = { ...metadataOf("a cat\nin a hat", "blurry\nbad"), extra: { Profile: "native, w: 3" } };
  const lines = formatParameters({ ...metadata, model: 'nano: "v1"' }).split("\n");
  const settings = [...lines.at(-1)!.matchAll(/\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)/g)];
  expect(lines.slice(0, -1)).toEqual(["a cat", "in a hat", "Negative prompt: blurry", "bad"]);
  expect(
    Object.fromEntries(
      settings.map(([, key, value]) => [key, value!.startsWith('"') ? JSON.parse(value!) : value]),
    ),
  ).toEqual({
    Steps: "25",
    Sampler: "DDPM",
    "CFG scale": "3",
    Seed: "0",
    Size: "48x32",
    Model: 'nano: "v1"',
    Profile: "native, w: 3",
  });
});

/** The PNG with a chunk behind its header; the checksum is made bit by bit, not by the code under test. */
function insertChunk(png: Uint8Array, type: string, body: Buffer): Uint8Array {
  const crc = (bytes: Buffer) => {
    let value = 0xffffffff;
    for (const byte of bytes) {
      value ^= byte;
      for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    }
    return (value ^ 0xffffffff) >>> 0;
  };
  const head = Buffer.alloc(4);
  head.writeUInt32BE(body.length);
  const named = Buffer.concat([Buffer.from(type, "latin1"), body]);
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc(named));
  return Buffer.concat([png.subarray(0, 33), head, named, tail, png.subarray(33)]);
}
