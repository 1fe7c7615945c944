import { expect, test } from "vitest";
import type { Picture } from "../image/mod.ts";
import { filmFrame, frameTask, moveOn, planAnimation } from "./plan.ts";
import { CONFIG_PRESETS, configPreset, SEGMENT_PRESETS, segmentCamera } from "./presets.ts";
import { parsePrompts } from "./prompts.ts";
import { type MotionRequest, resolveMotion } from "./request.ts";
import { parseSchedule } from "./schedule.ts";
import { readDeforumSettings } from "./settings.ts";
import { distances, hills } from "./test-support.ts";

const plan = (request: MotionRequest, prompt = "a fox") =>
  planAnimation(resolveMotion(request), parsePrompts(prompt), 5);

const values = (text: string | undefined, frames: number) =>
  [...parseSchedule(text!, { frames, frameRate: 24, name: "x" })].map(
    (value) => Math.round(value * 1e6) / 1e6,
  );

test("segmentCamera: motion fades over its segment and does not begin before it", () => {
  const { mode, schedules } = segmentCamera(
    [
      { preset: "right", seconds: 1 },
      { preset: "zoomin", seconds: 1, acceleration: 2 },
    ],
    4,
  );
  expect(mode).toBe("3D");
  expect(values(schedules.translationX, 9)).toEqual([1, 0.75, 0.5, 0.25, 0, 0, 0, 0, 0]);
  expect(values(schedules.translationZ, 9)).toEqual([0, 0, 0, 0, 2, 1.5, 1, 0.5, 0]);
});

test("segmentCamera: spins hold, equal motions go over into each other, expressions end with their segment", () => {
  const spin = segmentCamera([{ preset: "spin_clockwise", seconds: 1 }], 6).schedules.rotationZ;
  expect(values(spin, 8)).toEqual([0, 1, 1, 1, 1, 1, 0, 0]);
  const two = segmentCamera(
    [
      { preset: "up", seconds: 1 },
      { preset: "up", seconds: 1, acceleration: 3 },
    ],
    4,
  ).schedules;
  expect(values(two.translationY, 9)).toEqual([1, 1.5, 2, 2.5, 3, 2.25, 1.5, 0.75, 0]);
  const wave = segmentCamera(
    [
      { preset: "left_sinus_y", seconds: 0.5 },
      { preset: "right", seconds: 0.5 },
    ],
    4,
  ).schedules;
  expect(values(wave.translationX, 5)).toEqual([-1, 0, 1, 0.5, 0]);
  expect(values(wave.translationY, 4)).toEqual(
    [0, 1, 2]
      .map((t) => Math.round(1.5 * Math.sin((3.14 * t) / 24) * 1e6) / 1e6)
      .slice(0, 2)
      .concat([0, 0]),
  );
  expect(segmentCamera([{ preset: "flipping_phi", seconds: 1 }], 24).mode).toBe("2D");
});

test("every preset is a plan, and unknown ones are told with the nearest", () => {
  expect(SEGMENT_PRESETS.length).toBe(20);
  expect(Object.keys(CONFIG_PRESETS).length).toBe(15);
  for (const preset of SEGMENT_PRESETS) {
    const { mode, schedules } = segmentCamera([{ preset, seconds: 2 }], 24);
    const { motion } = plan({ frames: 48, mode, motion: schedules });
    const isStill = Object.entries(motion).every(([name, track]) =>
      track.every((v) => v === track[0] && name !== "x"),
    );
    expect(isStill, preset).toBe(false);
  }
  for (const name of Object.keys(CONFIG_PRESETS)) {
    const { mode, schedules, frames, strength, cadence } = configPreset(name);
    plan({ frames, mode, motion: schedules, strength, ...(cadence === undefined ? {} : { cadence }) });
  }
  expect(() => segmentCamera([{ preset: "zomin", seconds: 1 }], 24)).toThrowError(/did you mean zoomin/);
  expect(() => configPreset("panoram")).toThrowError(/did you mean panorama/);
  for (const bad of [{ seconds: 0 }, { seconds: 1, acceleration: -1 }]) {
    expect(() => segmentCamera([{ preset: "up", ...bad }], 24)).toThrowError(/a number above 0/);
  }
});

test("resolveMotion and planAnimation name the field and the place", () => {
  expect(() => plan({ frames: 0 })).toThrowError("a film needs frames");
  expect(() => plan({ frameRate: 0 })).toThrowError("frameRate");
  expect(() => plan({ cadence: 9 })).toThrowError("cadence");
  expect(() => plan({ strength: "0: (0.2), 9: (1.2)" })).toThrowError(
    /strength_schedule, character .*wanted 0 to 1/,
  );
  expect(() => plan({ motion: { translationZ: "0: (1/(t-7))" } })).toThrowError(
    /translation_z, character 7, frame 7/,
  );
  expect(() => plan({ kernel: 4 })).toThrowError(
    /kernel_schedule, frame 0: seen 4, wanted an odd whole number/,
  );
  expect(() => plan({ motion: { zoom: 0 } })).toThrowError(/zoom, .*0.01 to 100/);
  expect(plan({ strength: 0.75, strengthMeans: "kept" }).strength[0]).toBe(0.25);
});

test("frameTask: the frame before is moved on, coloured and treated; the first has none", () => {
  const request = {
    frames: 6,
    cadence: 2,
    mode: "2D",
    motion: { translationX: 1.5 },
    coherence: "none",
    amount: 0,
  } as const;
  const film = plan(request);
  expect(film.drawn).toEqual([0, 2, 4]);
  expect(frameTask(film, 0, undefined, undefined)).toMatchObject({
    frame: 0,
    seed: 5,
    picture: undefined,
    prompt: "a fox",
  });
  const before = hills(40, 30);
  const task = frameTask(film, 2, before, before);
  expect(task).toMatchObject({ frame: 4, seed: 5, strength: 0.13 });
  const moved = moveOn(film, before, 2, 4);
  expect(distances(task.picture!.data, moved.data).worst).toBe(0);
  // Two frames of 1.5 pixels to the right are three whole ones.
  expect(moved.data.subarray(3 * 10, 3 * 11)).toEqual(before.data.subarray(3 * 7, 3 * 8));
});

test("filmFrame: a camera over one picture gives a film that only moves, whatever the cadence and the blend", () => {
  for (const blend of ["linear", "flow"] as const) {
    const film = plan({
      frames: 8,
      cadence: 4,
      mode: "2D",
      blend,
      motion: { translationX: 1, translationY: "t/4" },
    });
    const world = new Map<number, Picture>([[0, hills(64, 48)]]);
    for (const frame of [4, 8]) world.set(frame, moveOn(film, world.get(0)!, 0, frame));
    for (let frame = 0; frame < 8; frame++) {
      const made = filmFrame(film, frame, (at) => world.get(at)!);
      const wanted = moveOn(film, world.get(0)!, 0, frame);
      const { mean } = distances(made.data, wanted.data);
      expect(mean, `${blend}, frame ${frame}`).toBeLessThan(1);
    }
  }
});

const SETTINGS = {
  W: 640,
  H: 512,
  seed: 7,
  steps: 50,
  scale: 7,
  max_frames: 48,
  fps: 12,
  animation_mode: "2D",
  border: "wrap",
  angle: "0:(0)",
  zoom: "0: (1.02), 30: (1+0.02*sin(t/8))",
  translation_x: "0:(0)",
  perspective_flip_phi: "0:(t%15)",
  strength_schedule: "0: (0.15)",
  diffusion_cadence: 3,
  color_coherence: "Match Frame 0 HSV",
  seed_behavior: "fixed",
  prompts: { "0": "a fox --neg snow", "24": "a wolf" },
  negative_prompts: "rain",
  hybrid_motion: "None",
  midas_weight: 0.3,
  sampler: "ddim",
  banana: 1,
};

test("readDeforumSettings reads a file as it is and tells what it does not use or know", () => {
  const read = readDeforumSettings(JSON.stringify(SETTINGS), "a.txt");
  expect(read).toMatchObject({ width: 640, height: 512, seed: 7, steps: 50, scale: 7 });
  expect(read.unused).toEqual(["hybrid_motion", "midas_weight", "sampler"]);
  expect(read.unknown).toEqual(["banana"]);
  expect(read.prompts).toEqual([
    { frame: 0, prompt: "a fox", negative: "snow" },
    { frame: 24, prompt: "a wolf", negative: "rain" },
  ]);
  const film = planAnimation(resolveMotion(read.motion), read.prompts!, 7);
  expect(film.settings).toMatchObject({
    frames: 48,
    frameRate: 12,
    mode: "2D",
    border: "wrap",
    coherence: "hsv",
    cadence: 3,
    seedBehavior: "fixed",
    strengthMeans: "changed",
  });
  expect(film.motion.zoom[40]).toBeCloseTo(1 + 0.02 * Math.sin(5), 12);
  expect(film.motion.flipPhi[17]).toBe(2);
  const classic = readDeforumSettings(
    JSON.stringify({ sd_model_name: "x", strength_schedule: "0: (0.65)" }),
    "b.txt",
  );
  expect(plan(classic.motion).strength[3]).toBeCloseTo(0.35, 12);
});

test.each([
  ["{", "cannot read the settings"],
  ["[1]", "a JSON object"],
  ['{"border": "mirror"}', "border: seen"],
  ['{"color_coherence": "Video Input"}', "color_coherence: seen"],
  ['{"animation_mode": "Video Input"}', "wanted 2D or 3D"],
  ['{"W": "wide"}', "W: seen"],
  ['{"prompts": {"x": "a"}}', "the number of a frame"],
])("readDeforumSettings refuses %s", (text, message) => {
  expect(() => readDeforumSettings(text, "a.txt")).toThrowError(message);
});
