/** A place in pixels: pixel (i, j) covers i to i + 1 and j to j + 1, so its centre is at (i + 0.5, j + 0.5). */
export type Point = readonly [x: number, y: number];

/** Width and height in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

export interface Box extends Size {
  readonly shape: "box";
  readonly left: number;
  readonly top: number;
  /** Of the corners; absent for square ones. */
  readonly radius?: number;
}

export interface Ellipse {
  readonly shape: "ellipse";
  readonly center: Point;
  readonly radii: Point;
}

/** A closed outline; where it crosses itself, what it goes around at all is inside. */
export interface Polygon {
  readonly shape: "polygon";
  readonly points: readonly Point[];
}

/** A brush of round tip drawn through points; one point is a dot. */
export interface Stroke {
  readonly shape: "stroke";
  readonly points: readonly Point[];
  readonly width: number;
}

/** How closely a hole follows an object: from its outline, grown, over rounder ones to its bounding box. */
export type Precision = 0 | 1 | 2 | 3 | "box";

/** An object of another picture, by the id of its alpha map. */
export interface PlacedObject {
  readonly shape: "object";
  readonly id: string;
  /** Left and right exchanged. */
  readonly flip: boolean;
  /** 1 lets the map's frame fill the picture as far as its proportions allow. */
  readonly scale: number;
  /** Where the middle of the map's frame lies. */
  readonly center: Point;
  readonly precision: Precision;
  /** The bounding box about its middle, this many times as large. Only with the precision `box`. */
  readonly grow?: number;
}

export type Shape = Box | Ellipse | Polygon | Stroke | PlacedObject;

/** A part of the hole: a shape, or all outside of it. */
export type Layer = Shape & { readonly outside?: true };

/**
 * A mask as plain data: what to log and to draw again, by `drawMask`. The hole is the union of the layers; no layer
 * is no hole.
 */
export interface MaskSpec extends Size {
  /** What was asked for. */
  readonly kind: string;
  /** What was made for it; two are a union. */
  readonly made: readonly string[];
  readonly layers: readonly Layer[];
}

/** Where the opaque part of a picture is: `data` holds alpha, row by row; 128 and more belongs to the object. */
export interface AlphaMap extends Size {
  /** Names the map in specs. */
  readonly id: string;
  readonly data: Uint8Array;
}

/** A hundredth of a pixel: short to log, and the same picture wherever sines differ in their last bit. */
export function rounded(x: number): number {
  return Math.round(x * 100) / 100;
}

export function point(x: number, y: number): Point {
  return [rounded(x), rounded(y)];
}
