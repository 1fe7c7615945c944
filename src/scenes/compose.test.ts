import { createHash } from "node:crypto";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { foldIn, keyOf } from "../random/mod.ts";
import { BACKGROUNDS } from "./backgrounds.ts";
import { composeScene, MASTER_SIDE, subjectAlpha } from "./compose.ts";
import { readMasterSheet } from "./sheet.node.ts";
import { drawSpec, NANO_SCENES, type SceneSpec } from "./spec.ts";
import { readSubjects } from "./subjects.node.ts";
import { DRAWN_CODES, drawnMasters } from "./test-support.ts";

const masters = await drawnMasters();
const subjects = (await readSubjects()).filter(({ code }) => DRAWN_CODES.includes(code));

function scene(seed: number): SceneSpec {
  return drawSpec(foldIn(keyOf(9), seed), subjects, NANO_SCENES);
}

test("composeScene averages the master over every pixel, as points inside the pixels do", () => {
  const points = 24;
  let worst = 0;
  for (let seed = 0; seed < 6; seed++) {
    const spec = scene(seed);
    const size = 24 + 5 * seed;
    const picture = composeScene(spec, masters, size);
    for (let y = 0; y < size; y += 3) {
      for (let x = 0; x < size; x += 3) {
        const wanted = [...BACKGROUNDS[spec.background]] as number[];
        for (const { code, left, top, side } of spec.subjects) {
          const sum = [0, 0, 0, 0];
          for (let i = 0; i < points * points; i++) {
            const u = ((x + ((i % points) + 0.5) / points) / size - left) / side;
            const v = ((y + (Math.floor(i / points) + 0.5) / points) / size - top) / side;
            if (u < 0 || u >= 1 || v < 0 || v >= 1) continue;
            const at = 4 * (Math.floor(v * MASTER_SIDE) * MASTER_SIDE + Math.floor(u * MASTER_SIDE));
            const master = masters.get(`${spec.style}/${code}`)!;
            for (let c = 0; c < 4; c++) sum[c]! += master[at + c]! / points ** 2;
          }
          for (let c = 0; c < 3; c++) wanted[c] = sum[c]! + wanted[c]! * (1 - sum[3]! / 255);
        }
        for (let c = 0; c < 3; c++) {
          worst = Math.max(worst, Math.abs(picture.data[3 * (y * size + x) + c]! - wanted[c]!));
        }
      }
    }
  }
  // 576 points a pixel leave an error of a few levels at hard edges; a shift of a tenth of a pixel makes 25.
  expect(worst, `worst difference ${worst} of 255`).toBeLessThan(8);
});

test("composeScene draws the same bytes again, and the pinned ones", () => {
  const hash = createHash("sha256");
  for (let seed = 0; seed < 8; seed++) hash.update(composeScene(scene(seed), masters, 32).data);
  const again = createHash("sha256");
  for (let seed = 0; seed < 8; seed++) again.update(composeScene(scene(seed), masters, 32).data);
  expect(again.digest("hex")).toBe(hash.copy().digest("hex"));
  expect(hash.digest("hex").slice(0, 16)).toBe("832e375b6ce2c8f1");
});

test("composeScene leaves the background where no subject is", () => {
  for (let seed = 0; seed < 30; seed++) {
    const spec = scene(seed);
    if (spec.kind !== "relation") continue;
    const { data } = composeScene(spec, masters, 64);
    expect([...data.subarray(0, 3)]).toEqual([...BACKGROUNDS[spec.background]]);
    expect([...data.subarray(data.length - 3)]).toEqual([...BACKGROUNDS[spec.background]]);
  }
});

test("readMasterSheet refuses a sheet with too few drawings", async () => {
  const sheet = fileURLToPath(new URL("../../../golden/scenes/noto.webp", import.meta.url));
  await expect(readMasterSheet(sheet, "noto", [...DRAWN_CODES, "1F600"])).rejects.toMatchObject({
    code: "file_corrupt",
    parts: { seen: "40 of 128 pixels", wanted: "41" },
  });
});

test("subjectAlpha is where the subject shows: opaque pixels hide the background, transparent ones are it", () => {
  for (let seed = 0; seed < 12; seed++) {
    const drawn = scene(seed);
    const one = drawn.subjects.at(-1)!;
    const [width, height] = seed % 2 === 0 ? [64, 64] : [96, 64];
    const on = (background: "white" | "black") =>
      composeScene({ ...drawn, background, subjects: [one] }, masters, width, height).data;
    const [light, dark] = [on("white"), on("black")];
    const alpha = subjectAlpha(drawn, one, masters, width, height);
    // What a pixel hides of the difference between the backgrounds, averaged over the pixel.
    const averaged = alpha.map(
      (_, i) => 255 - (light[3 * i]! - dark[3 * i]!) * (255 / (BACKGROUNDS.white[0] - BACKGROUNDS.black[0])),
    );
    const wrong = alpha.filter((value, i) => Math.abs(value - averaged[i]!) > 200).length;
    expect(wrong, `scene ${seed}`).toBe(0);
    const area = (values: Uint8Array) => values.reduce((sum, value) => sum + value / 255, 0);
    expect(Math.abs(area(alpha) / area(averaged) - 1), `scene ${seed}`).toBeLessThan(0.05);
  }
});
