import { expect, test } from "vitest";
import { float32, type Tensor } from "../tensor/mod.ts";
import type { Picture } from "./picture.ts";
import { fitPreviewMatrix, latentPreview, type PreviewMatrix } from "./preview.ts";

const MATRIX: PreviewMatrix = {
  weights: [
    [0.2, -0.1, 0.05],
    [0.1, 0.2, -0.15],
    [-0.05, 0.1, 0.2],
    [0.15, 0.05, 0.1],
  ],
  bias: [0.1, -0.2, 0.05],
};

/** A latent [4,2,3] of distinct, independent values in [-1,1]. */
function latentOf(seed: number): Tensor<"float32"> {
  return float32(
    [4, 2, 3],
    Array.from({ length: 24 }, (_, i) => Math.sin(1.7 * (i + 1) * (seed + 1) + seed)),
  );
}

/** Each pixel repeated to a block of factor x factor. */
function enlarge(picture: Picture, factor: number): Picture {
  const width = picture.width * factor;
  const height = picture.height * factor;
  const data = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = 3 * (Math.floor(y / factor) * picture.width + Math.floor(x / factor));
      data.set(picture.data.subarray(from, from + 3), 3 * (y * width + x));
    }
  }
  return { width, height, data };
}

test("latentPreview applies weights and bias at each place", () => {
  const latent = latentOf(0);
  const picture = latentPreview(latent, MATRIX);
  expect([picture.width, picture.height]).toEqual([3, 2]);
  for (let i = 0; i < 6; i++) {
    for (let colour = 0; colour < 3; colour++) {
      let value = MATRIX.bias[colour]!;
      for (let c = 0; c < 4; c++) value += latent.data[6 * c + i]! * MATRIX.weights[c]![colour]!;
      const byte = ((value + 1) / 2) * 255;
      expect(Math.abs(picture.data[3 * i + colour]! - byte), `place ${i}, colour ${colour}`).toBeLessThan(
        0.501,
      );
    }
  }
});

test("latentPreview refuses a latent with other channels", () => {
  expect(() => latentPreview(float32([3, 1, 2], new Float32Array(6)), MATRIX)).toThrow(
    expect.objectContaining({ code: "tensor_shape" }),
  );
});

test("fitPreviewMatrix finds the matrix that made the pictures", () => {
  const latents = Array.from({ length: 40 }, (_, seed) => latentOf(seed));
  const pictures = latents.map((latent) => enlarge(latentPreview(latent, MATRIX), 4));
  const fitted = fitPreviewMatrix(latents, pictures);
  const wanted = [...MATRIX.weights.flat(), ...MATRIX.bias];
  const worst = [...fitted.weights.flat(), ...fitted.bias].reduce(
    (most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)),
    0,
  );
  // Pictures hold bytes, so a colour is off by up to 1/255 and the fit averages that out.
  expect(worst, `worst coefficient off by ${worst}`).toBeLessThan(1 / 255);
});

test("fitPreviewMatrix refuses sizes that do not fit and latents that are alike", () => {
  const latent = latentOf(0);
  const picture = latentPreview(latent, MATRIX);
  const crooked = { ...enlarge(picture, 2), width: 4, height: 6 };
  expect(() => fitPreviewMatrix([latent], [crooked])).toThrow(
    expect.objectContaining({ code: "tensor_shape" }),
  );
  expect(() => fitPreviewMatrix([latent], [])).toThrow(expect.objectContaining({ code: "tensor_shape" }));
  const flat = float32([4, 2, 3], new Float32Array(24).fill(0.5));
  expect(() => fitPreviewMatrix([flat], [picture])).toThrow(
    expect.objectContaining({ code: "input_missing" }),
  );
});
