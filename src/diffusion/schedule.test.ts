import { expect, test } from "vitest";
import { concatRows, row } from "../tensor/mod.ts";
import {
  addNoise,
  cosineSchedule,
  kandinsky22Schedule,
  levelAt,
  linearSchedule,
  strengthFromEqualSnr,
} from "./schedule.ts";
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

/** Timestep, signal kept, and the cosine timestep that keeps as much; from the published tables of both schedules. */
const EQUAL_SNR = [
  [100, 0.8673, 230, 0.8951, 203],
  [130, 0.8134, 278, 0.8329, 261],
  [150, 0.7749, 308, 0.7859, 300],
  [200, 0.6733, 382, 0.6563, 393],
  [300, 0.4673, 516, 0.394, 564],
  [500, 0.1608, 734, 0.0778, 818],
  [700, 0.0353, 878, 0.0069, 946],
  [900, 0.0049, 954, 0.0003, 988],
] as const;

test("strengthFromEqualSnr gives the strengths of the table within 0.005, and keeps the signal", () => {
  const far = EQUAL_SNR.flatMap(([time, keptBy22, cosineBy22, keptByLinear, cosineByLinear]) =>
    (
      [
        [kandinsky22Schedule(), keptBy22, cosineBy22],
        [linearSchedule(0.0001, 0.02), keptByLinear, cosineByLinear],
      ] as const
    ).map(([from, kept, wanted]) => {
      expect(Math.abs(from.alphasCumprod[time]! - kept), `t ${time}`).toBeLessThan(0.0001);
      return Math.abs(strengthFromEqualSnr(time / 1000, from, cosine) - wanted / 1000);
    }),
  );
  const worst = Math.max(...far);
  expect(worst, `worst difference ${worst}`).toBeLessThan(0.005);
  // The strengths of the announcement's animations.
  const mapped = [0.13, 0.15, 0.2, 0.3].map((s) => strengthFromEqualSnr(s, kandinsky22Schedule(), cosine));
  expect(mapped.map((s) => s.toFixed(2))).toEqual(["0.28", "0.31", "0.38", "0.52"]);
});

test("strengthFromEqualSnr keeps a strength on its own schedule, and stays within 0 and 1", () => {
  for (const strength of [0, 0.05, 0.3, 0.999, 1]) {
    const same = strengthFromEqualSnr(strength, cosine, cosine);
    expect(Math.abs(same - Math.min(strength, 0.999)), `strength ${strength}`).toBeLessThan(1e-6);
  }
  expect(strengthFromEqualSnr(1, kandinsky22Schedule(), cosine)).toBeLessThan(1);
});
