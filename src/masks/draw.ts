import type { Mask } from "./mask.ts";
import { fillObject } from "./object.ts";
import { FILL } from "./raster.ts";
import type { AlphaMap, Layer, MaskSpec, Size } from "./spec.ts";

/**
 * The pixels of a spec: equal ones give equal pixels. `objects` holds the alpha maps that object layers name.
 * Throws `input_missing` where one of them is not there.
 */
export function drawMask(
  spec: Pick<MaskSpec, "width" | "height" | "layers">,
  objects: readonly AlphaMap[] = [],
): Mask {
  const { width, height, layers } = spec;
  const data = new Uint8Array(width * height);
  for (const layer of layers) {
    if (layer.outside !== true) fill(data, spec, layer, objects);
    else {
      const inside = new Uint8Array(data.length);
      fill(inside, spec, layer, objects);
      for (let i = 0; i < data.length; i++) if (inside[i] === 0) data[i] = 1;
    }
  }
  return { width, height, data };
}

function fill(data: Uint8Array, size: Size, layer: Layer, objects: readonly AlphaMap[]): void {
  if (layer.shape === "object") fillObject(data, size, layer, objects);
  else (FILL[layer.shape] as (data: Uint8Array, size: Size, layer: Layer) => void)(data, size, layer);
}
