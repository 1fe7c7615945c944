import { expect, test } from "vitest";
import { cosineSchedule } from "../diffusion/mod.ts";
import { keyOf, normal } from "../random/mod.ts";
import type { Objective } from "../train/mod.ts";
import { timestepGrid, validationFeeds, validationFigures } from "./validation.ts";

const objective: Objective = {
  schedule: cosineSchedule(),
  prediction: "v_prediction",
  weighting: "even",
  dropout: 0.9,
  profile: "diffusers",
};

test("timestepGrid lies in the middle of equal parts", () => {
  expect(timestepGrid(4, 1000)).toEqual([125, 375, 625, 875]);
  expect(timestepGrid(1, 1000)).toEqual([500]);
});

test("validationFeeds are the grid's timesteps with the key's noise, and every caption", () => {
  const samples = {
    latents: normal(keyOf(1), [4, 2, 3, 3]),
    hidden: normal(keyOf(2), [4, 5, 6]),
    tokens: [3, 2, 4, 1],
  };
  const feeds = validationFeeds(samples, 4, objective, keyOf(3));
  expect([...(feeds["timesteps"]!.data as Float32Array)]).toEqual([125, 375, 625, 875]);
  expect(validationFeeds(samples, 4, objective, keyOf(3))).toEqual(feeds);
  expect(validationFeeds(samples, 4, objective, keyOf(4))["sample"]).not.toEqual(feeds["sample"]);
  const twice = validationFeeds(samples, 2, objective, keyOf(3));
  expect([...(twice["timesteps"]!.data as Float32Array)]).toEqual([250, 750, 250, 750]);
  const states = feeds["encoder_hidden_states"]!.data as Float32Array;
  for (const [row, tokens] of samples.tokens.entries()) {
    const own = states.subarray(30 * row, 30 * row + 6 * tokens);
    expect(own).toEqual(samples.hidden.data.subarray(30 * row, 30 * row + 6 * tokens));
  }
});

test("validationFigures are means over all rows and over the halves of little and of much noise", () => {
  expect(validationFigures([1, 2, 6, 3])).toEqual({
    loss: 3,
    "loss, little noise": 1.5,
    "loss, much noise": 4.5,
  });
  expect(validationFigures([2])).toEqual({ loss: 2 });
});
