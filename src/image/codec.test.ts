import { crc32 } from "node:zlib";
import sharp from "sharp";
import { expect, test } from "vitest";
import { decodePicture, encodePicture, encodePixels, readPicture, resizePicture } from "./codec.ts";
import { gradient, metadataOf, worstDifference } from "./test-support.ts";

const PICTURE = gradient(48, 32);

test("encodePicture gives equal bytes for equal input", async () => {
  for (const format of ["png", "webp", "jpeg"] as const) {
    const [first, second] = [
      await encodePicture(PICTURE, format, metadataOf("кот")),
      await encodePicture(PICTURE, format, metadataOf("кот")),
    ];
    expect(Buffer.compare(first, second), format).toBe(0);
  }
});

test("decodePicture returns what encodePicture wrote, exactly from PNG", async () => {
  for (const [format, limit] of [
    ["png", 0],
    ["webp", 16],
    ["jpeg", 6],
  ] as const) {
    const decoded = await decodePicture(await encodePicture(PICTURE, format, metadataOf("a cat")));
    expect([decoded.width, decoded.height]).toEqual([48, 32]);
    const worst = worstDifference(decoded.data, PICTURE.data);
    expect(worst, `${format}: worst difference ${worst}`).toBeLessThanOrEqual(limit);
  }
});

test("encodePicture writes a sheet whose settings tell the size of one picture", async () => {
  const sheet = gradient(60, 21);
  for (const format of ["png", "webp", "jpeg"] as const) {
    const { width, height } = await sharp(await encodePicture(sheet, format, metadataOf("a cat"))).metadata();
    expect([width, height], format).toEqual([60, 21]);
  }
});

test("encodePixels refuses sides that the format cannot hold", async () => {
  const long = { width: 16384, height: 1, data: new Uint8Array(3 * 16384) };
  await expect(encodePixels(long, "webp")).rejects.toMatchObject({
    code: "option_invalid",
    message: expect.stringContaining("seen 16384x1"),
  });
});

test("decodePicture turns pictures as EXIF asks", async () => {
  const turned = await sharp(PICTURE.data, { raw: { width: 48, height: 32, channels: 3 } })
    .png()
    .withMetadata({ orientation: 6 })
    .toBuffer();
  const decoded = await decodePicture(turned);
  expect([decoded.width, decoded.height]).toEqual([32, 48]);
  // Orientation 6 turns clockwise: the lower left corner comes to the upper left.
  expect([...decoded.data.subarray(0, 3)]).toEqual([0, 5 * 31, 2 * 31]);
});

test("decodePicture makes RGB of grey, 16-bit and transparent pictures", async () => {
  const source = sharp({ create: { width: 3, height: 2, channels: 4, background: "#ff000000" } });
  const transparent = await decodePicture(await source.png().toBuffer());
  expect([...transparent.data]).toEqual(new Array(18).fill(255));
  const grey = await sharp(Uint8Array.from([0, 50, 100, 150, 200, 250]), {
    raw: { width: 3, height: 2, channels: 1 },
  })
    .toColourspace("b-w")
    .png()
    .toBuffer();
  expect([...(await decodePicture(grey)).data]).toEqual(
    [0, 50, 100, 150, 200, 250].flatMap((v) => [v, v, v]),
  );
  const deep = await sharp(Uint16Array.from([0, 0x8080, 0xffff]), {
    raw: { width: 1, height: 1, channels: 3 },
  })
    .toColourspace("rgb16")
    .png()
    .toBuffer();
  expect((await sharp(deep).metadata()).depth).toBe("ushort");
  expect([...(await decodePicture(deep)).data]).toEqual([0, 128, 255]);
});

test("decodePicture names a file that is empty, cut off or no picture", async () => {
  const png = await encodePixels(PICTURE, "png");
  for (const bytes of [new Uint8Array(0), png.subarray(0, png.length >> 1), Buffer.from("a text")]) {
    await expect(decodePicture(bytes, "in.png")).rejects.toMatchObject({
      code: "file_corrupt",
      message: expect.stringContaining("in.png"),
    });
  }
});

test("resizePicture keeps places", async () => {
  const small = await resizePicture(gradient(40, 20), 20, 10);
  expect([small.width, small.height, small.data.length]).toEqual([20, 10, 600]);
  const [left, right] = [small.data[0]!, small.data[3 * 19]!];
  expect(left).toBeLessThan(10);
  expect(right).toBeGreaterThan(145);
});

test("readPicture gives transparency beside the colours on white, and none where all is opaque", async () => {
  const pixels = Uint8Array.from([255, 0, 0, 255, 0, 0, 255, 0]);
  const raw = { raw: { width: 2, height: 1, channels: 4 } } as const;
  const { picture, alpha } = await readPicture(await sharp(pixels, raw).png().toBuffer());
  expect([...picture.data]).toEqual([255, 0, 0, 255, 255, 255]);
  expect([...alpha!]).toEqual([255, 0]);
  pixels[7] = 255;
  const opaque = await readPicture(await sharp(pixels, raw).png().toBuffer());
  expect([...opaque.picture.data]).toEqual([255, 0, 0, 0, 0, 255]);
  expect(opaque.alpha).toBeUndefined();
});

test("readPicture makes RGB of CMYK", async () => {
  const cmyk = await sharp({ create: { width: 4, height: 3, channels: 3, background: "#d02020" } })
    .toColourspace("cmyk")
    .jpeg({ quality: 100 })
    .toBuffer();
  expect((await sharp(cmyk).metadata()).space).toBe("cmyk");
  const { picture } = await readPicture(cmyk);
  expect([picture.width, picture.height, picture.data.length]).toEqual([4, 3, 36]);
  const [red, green, blue] = picture.data;
  expect(red! - Math.max(green!, blue!), `rgb(${red}, ${green}, ${blue})`).toBeGreaterThan(80);
});

/** Two frames of 4x3 pixels, one above the other as sharp wants them. */
const frames = () =>
  sharp(
    Uint8Array.from({ length: 72 }, (_, i) => 3 * i),
    {
      raw: { width: 4, height: 6, channels: 3, pageHeight: 3 },
    },
  );

test("readPicture refuses animations and says what to do", async () => {
  for (const bytes of [await frames().webp({ loop: 0 }).toBuffer(), await frames().gif().toBuffer()]) {
    const error = await readPicture(bytes, "film.webp").catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "picture_unfit", parts: { where: "film.webp", seen: "2 frames" } });
    expect(String(error)).toContain("save the frame");
  }
  const png = Buffer.from(await encodePixels(PICTURE, "png"));
  // An animation control chunk right behind the header makes a PNG an animated one.
  const control = Buffer.from("00000008" + "6163544c" + "0000000200000000" + "00000000", "hex");
  const animated = Buffer.concat([png.subarray(0, 33), control, png.subarray(33)]);
  await expect(readPicture(animated)).rejects.toMatchObject({ code: "picture_unfit" });
});

test("readPicture refuses pictures of too many pixels by their header, and what is no picture", async () => {
  const png = Buffer.from(await encodePixels(PICTURE, "png"));
  png.writeUInt32BE(50_000, 16);
  png.writeUInt32BE(40_000, 20);
  // The header's checksum, so that the size is the only thing wrong.
  png.writeUInt32BE(crc32(png.subarray(12, 29)), 29);
  await expect(readPicture(png, "bomb.png")).rejects.toMatchObject({
    code: "picture_unfit",
    parts: { where: "bomb.png", seen: "50000x40000" },
  });
  const drawing = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
  await expect(readPicture(drawing)).rejects.toMatchObject({
    code: "file_corrupt",
    message: expect.stringContaining("svg"),
  });
  const whole = await encodePixels(PICTURE, "png");
  const cut = whole.slice(0, whole.length / 2);
  await expect(readPicture(cut)).rejects.toMatchObject({ code: "file_corrupt" });
  await expect(readPicture(new Uint8Array())).rejects.toMatchObject({ code: "file_corrupt" });
});
