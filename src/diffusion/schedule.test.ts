import { expect, test } from "vitest";
import { concatRows, row } from "../tensor/mod.ts";
import { addNoise, cosineSchedule, levelAt, linearSchedule } from "./schedule.ts";
import { ALPHAS, mismatch, openGolden, SCHEDULE, stack } from "./test-support.ts";

const golden = await openGolden("schedule.safetensors");
const cosine = cosineSchedule();

test("cosineSchedule and linearSchedule equal the golden products", () => {
  for (const name of ["alphas_cumprod", "native/alphas_cumprod", "alphas_cumprod_f64"]) {
    expect(mismatch(cosine.alphasCumprod, golden(name).data, ALPHAS), name).toBeUndefined();
  }
  const linear = linearSchedule(0.0001, 0.02).alphasCumprod;
  expect(mismatch(linear, golden("linear/alphas_cumprod").data, ALPHAS)).toBeUndefined();
  // The float32 products themselves, bit for bit: 1 - a of the first timesteps hangs on them.
  expect(cosine.alphasCumprod).toEqual(golden("alphas_cumprod").data);
});

test("addNoise equals the golden noising at one timestep a row", () => {
  const x0 = golden("conv/x0");
  const eps = golden("conv/eps");
  const times = Array.from(golden("qsample/two_t").data);
  const noised = (schedule: typeof cosine) =>
    concatRows(times.map((time, i) => addNoise(row(x0, i), row(eps, i), levelAt(schedule, time)))).data;
  const linear = linearSchedule(0.0001, 0.02);
  for (const name of ["cosine_two_t", "diffusers_two_t"]) {
    expect(mismatch(noised(cosine), golden(`qsample/${name}`).data, SCHEDULE), name).toBeUndefined();
  }
  expect(mismatch(noised(linear), golden("qsample/linear_two_t").data, SCHEDULE)).toBeUndefined();
  const all = Array.from(golden("conv/t").data, (time) => addNoise(x0, eps, levelAt(linear, time)));
  expect(mismatch(stack(all), golden("qsample/linear_x_t").data, SCHEDULE)).toBeUndefined();
});
