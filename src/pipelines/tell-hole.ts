import { type Picture, tensorFromPicture } from "../image/mod.ts";
import { float32, type Tensor } from "../tensor/mod.ts";
import { withChannels } from "./tiles.ts";

type Size = Readonly<Record<"width" | "height", number>>;

/**
 * A picture as a tensor [1,3,H,W] in [-1,1] with every pixel that is not wholly kept in mid grey (Kandinsky 3,
 * `inpainting_pipeline.py`). `keep` has a share of 1 for each pixel.
 */
export function withoutHole(picture: Picture, keep: Float32Array): Tensor<"float32"> {
  const { shape, data } = tensorFromPicture(picture);
  return float32(
    shape,
    data.map((value, i) => (keep[i % keep.length] === 1 ? value : 0)),
  );
}

/**
 * What a U-Net for inpainting is told beside the noisy latent, [1,1+C,h,w]: 1 where a cell is kept, and `latent`
 * [1,C,h,w], that of `withoutHole`. Pictures are drawn and the U-Net is trained with these channels.
 */
export function tellHole(
  keep: Float32Array,
  size: Size,
  cell: number,
  latent: Tensor<"float32">,
): Tensor<"float32"> {
  return withChannels(keptCells(keep, size, cell), latent);
}

/**
 * The mask [1,1,h,w] as the original makes it: the first pixel of each cell says whether it is kept. A hole that falls
 * between these pixels would be lost, so a cell with a part of a hole is open where no cell around it is.
 */
export function keptCells(keep: Float32Array, size: Size, cell: number): Tensor<"float32"> {
  const [rows, columns] = [size.height / cell, size.width / cell];
  const first = Float32Array.from({ length: rows * columns }, (_, i) => {
    return keep[Math.floor(i / columns) * cell * size.width + (i % columns) * cell]!;
  });
  const touched = openCells(keep, size, cell).data;
  const kept = first.map((value, i) => {
    if (value < 1 || touched[i] === 0) return value;
    const [x, y] = [i % columns, Math.floor(i / columns)];
    for (let v = Math.max(0, y - 1); v <= Math.min(rows - 1, y + 1); v++) {
      for (let u = Math.max(0, x - 1); u <= Math.min(columns - 1, x + 1); u++) {
        if (first[v * columns + u]! < 1) return value;
      }
    }
    return 0;
  });
  return float32([1, 1, rows, columns], kept);
}

/** [1,1,h,w]: 1 for cells with a pixel that is not wholly kept. */
export function openCells(keep: Float32Array, size: Size, cell: number): Tensor<"float32"> {
  const [rows, columns] = [size.height / cell, size.width / cell];
  const open = new Float32Array(rows * columns);
  for (const [i, value] of keep.entries()) {
    if (value === 1) continue;
    const x = Math.floor((i % size.width) / cell);
    open[Math.floor(i / size.width / cell) * columns + x] = 1;
  }
  return float32([1, 1, rows, columns], open);
}
