/** 2-D motion between two frames. */
export interface FlatMotion {
  /** Degrees, counter-clockwise. */
  readonly angle: number;
  /** Scale about the middle: more than 1 comes nearer. */
  readonly zoom: number;
  /** Pixels to the right and down. */
  readonly translationX: number;
  readonly translationY: number;
  /** Degrees that the plane turns: about the line of sight, about its horizontal axis, about its vertical axis. */
  readonly flipTheta: number;
  readonly flipPhi: number;
  readonly flipGamma: number;
  /** Degrees that the camera of the three flips sees. */
  readonly flipFieldOfView: number;
}

/** 3-D motion of the camera between two frames, over a flat plane at distance 1. */
export interface SpaceMotion {
  /** 200 of them are one distance to the plane: right, up, forward. */
  readonly translationX: number;
  readonly translationY: number;
  readonly translationZ: number;
  /** Degrees. */
  readonly rotationX: number;
  readonly rotationY: number;
  readonly rotationZ: number;
  /** Degrees that the camera sees, upright and across. */
  readonly fieldOfView: number;
}

/** A 3x3 matrix, row by row. */
export type Matrix3 = readonly [number, number, number, number, number, number, number, number, number];

/**
 * Where a pixel (x, y) of the new frame lies in the old one: u = a x + b y + c + (p0 x + p1 y + p2) / w,
 * v = d x + e y + f + (p3 x + p4 y + p5) / w, w = p6 x + p7 y + p8. Pixels are counted from 0 at their middles.
 */
export interface SamplingMap {
  readonly linear: readonly [a: number, b: number, c: number, d: number, e: number, f: number];
  readonly projective: Matrix3;
}

export const UNMOVED: SamplingMap = { linear: [1, 0, 0, 0, 1, 0], projective: [0, 0, 0, 0, 0, 0, 0, 0, 1] };

/**
 * The map of a 2-D motion (Deforum, animation.md section 4): perspective about the middle, times rotation and zoom
 * about (width // 2, height // 2), times translation, from old to new, hence inverted here.
 */
export function flatMap(motion: FlatMotion, width: number, height: number): SamplingMap {
  const forward = product(
    perspective(motion, width, height),
    product(rotation(motion, width, height), translation(motion.translationX, motion.translationY)),
  );
  return { linear: [0, 0, 0, 0, 0, 0], projective: inverse(forward) };
}

function translation(x: number, y: number): Matrix3 {
  return [1, 0, x, 0, 1, y, 0, 0, 1];
}

/** Counter-clockwise on the screen, where y points down, as OpenCV's `getRotationMatrix2D`. */
function rotation({ angle, zoom }: FlatMotion, width: number, height: number): Matrix3 {
  const [x, y] = [Math.floor(width / 2), Math.floor(height / 2)];
  const cos = zoom * Math.cos(radians(angle));
  const sin = zoom * Math.sin(radians(angle));
  return [cos, sin, (1 - cos) * x - sin * y, -sin, cos, sin * x + (1 - cos) * y, 0, 0, 1];
}

/**
 * The plane at distance h turned by theta about the line of sight, then phi and gamma, seen by a camera whose field of
 * view just holds the diagonal d: h = d / (2 sin(fov / 2)). Nothing moves at 0, 0, 0.
 */
function perspective(
  { flipTheta, flipPhi, flipGamma, flipFieldOfView }: FlatMotion,
  width: number,
  height: number,
): Matrix3 {
  const turned = product(
    product(aboutZ(radians(flipTheta)), aboutX(radians(flipPhi))),
    aboutY(radians(flipGamma)),
  );
  const distance = Math.hypot(width, height) / (2 * Math.sin(radians(flipFieldOfView) / 2));
  const [a, b, , d, e, , g, h] = turned;
  const [x, y] = [width / 2, height / 2];
  const seen: Matrix3 = [distance * a, distance * b, 0, distance * d, distance * e, 0, -g, -h, distance];
  return product(translation(x, y), product(seen, translation(-x, -y)));
}

/** Camera units of Deforum's translations. */
const TRANSLATION_SCALE = 1 / 200;

/** A moved camera: points are rows, new = old * turn + shift; x = column * step.x - 1, y alike. */
interface Camera {
  readonly turn: Matrix3;
  readonly shift: readonly [x: number, y: number, z: number];
  readonly step: { readonly x: number; readonly y: number };
  /** Pixels of a distance of 1 across at the plane. */
  readonly focal: { readonly x: number; readonly y: number };
}

function cameraOf(motion: SpaceMotion, width: number, height: number): Camera {
  const [rx, ry, rz] = [motion.rotationX, motion.rotationY, motion.rotationZ].map(radians) as [
    number,
    number,
    number,
  ];
  const focal = 1 / Math.tan(radians(motion.fieldOfView) / 2);
  return {
    turn: product(product(aboutX(rx), aboutY(ry)), aboutZ(rz)),
    shift: [
      -motion.translationX * TRANSLATION_SCALE,
      motion.translationY * TRANSLATION_SCALE,
      -motion.translationZ * TRANSLATION_SCALE,
    ],
    step: { x: 2 / Math.max(1, width - 1), y: 2 / Math.max(1, height - 1) },
    focal: { x: (focal * width) / 2, y: (focal * height) / 2 },
  };
}

/**
 * The map of a 3-D motion without depth (Deforum, animation.md section 4): every pixel is a point of the plane z = 1
 * with x and y from -1 to 1; it is projected by the old camera, which stands in the middle, and by the moved one, and
 * the pixel is taken from as far back as the second lies from the first.
 */
export function spaceMap(motion: SpaceMotion, width: number, height: number): SamplingMap {
  const { turn, shift, step, focal } = cameraOf(motion, width, height);
  const [r0, r1, r2, r3, r4, r5, r6, r7, r8] = turn;
  const across = (a: number, b: number, c: number, t: number) =>
    [a * step.x, b * step.y, -a - b + c + t] as const;
  const newX = across(r0, r3, r6, shift[0]);
  const newY = across(r1, r4, r7, shift[1]);
  const newZ = across(r2, r5, r8, shift[2]);
  return {
    linear: [1 + focal.x * step.x, 0, -focal.x, 0, 1 + focal.y * step.y, -focal.y],
    projective: [
      ...(newX.map((x) => -focal.x * x) as [number, number, number]),
      ...(newY.map((y) => -focal.y * y) as [number, number, number]),
      ...newZ,
    ],
  };
}

/** Writes where a pixel (x, y) of the new frame comes from into `place`. */
export type Trace = (x: number, y: number, place: Float64Array) => void;

/**
 * As `spaceMap`, with a distance for every pixel instead of the plane. As there, the distance at a pixel of the new
 * frame is taken for that of the pixel which it comes from (Deforum samples so too): edges of near things drag a
 * little of what is beside them along.
 */
export function depthTrace(
  motion: SpaceMotion,
  { width, height }: { readonly width: number; readonly height: number },
  depth: Float32Array,
): Trace {
  const { turn, shift, step, focal } = cameraOf(motion, width, height);
  const [r0, r1, r2, r3, r4, r5, r6, r7, r8] = turn;
  return (column, row, place) => {
    const i = Math.min(width - 1, Math.max(0, Math.round(column)));
    const j = Math.min(height - 1, Math.max(0, Math.round(row)));
    const z = depth[j * width + i]!;
    const [x, y] = [step.x * column - 1, step.y * row - 1];
    const newZ = r2 * x + r5 * y + r8 * z + shift[2];
    place[0] = column + focal.x * (x / z - (r0 * x + r3 * y + r6 * z + shift[0]) / newZ);
    place[1] = row + focal.y * (y / z - (r1 * x + r4 * y + r7 * z + shift[1]) / newZ);
  };
}

/** Where (x, y) comes from, through the maps of several frames: the last frame's map first. */
export function sampleAt(maps: readonly SamplingMap[], x: number, y: number): [number, number] {
  let [u, v] = [x, y];
  for (let i = maps.length - 1; i >= 0; i--) {
    const { linear: l, projective: p } = maps[i]!;
    const w = p[6] * u + p[7] * v + p[8];
    [u, v] = [
      l[0] * u + l[1] * v + l[2] + (p[0] * u + p[1] * v + p[2]) / w,
      l[3] * u + l[4] * v + l[5] + (p[3] * u + p[4] * v + p[5]) / w,
    ];
  }
  return [u, v];
}

function radians(degrees: number): number {
  return (degrees * Math.PI) / 180;
}

function aboutX(angle: number): Matrix3 {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [1, 0, 0, 0, c, -s, 0, s, c];
}

function aboutY(angle: number): Matrix3 {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [c, 0, s, 0, 1, 0, -s, 0, c];
}

function aboutZ(angle: number): Matrix3 {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [c, -s, 0, s, c, 0, 0, 0, 1];
}

function product(a: Matrix3, b: Matrix3): Matrix3 {
  const cell = (i: number) => {
    const [row, column] = [3 * Math.floor(i / 3), i % 3];
    return a[row]! * b[column]! + a[row + 1]! * b[column + 3]! + a[row + 2]! * b[column + 6]!;
  };
  return Array.from({ length: 9 }, (_, i) => cell(i)) as unknown as Matrix3;
}

function inverse([a, b, c, d, e, f, g, h, i]: Matrix3): Matrix3 {
  const determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  return [
    e * i - f * h,
    c * h - b * i,
    b * f - c * e,
    f * g - d * i,
    a * i - c * g,
    c * d - a * f,
    d * h - e * g,
    b * g - a * h,
    a * e - b * d,
  ].map((value) => value / determinant) as unknown as Matrix3;
}
