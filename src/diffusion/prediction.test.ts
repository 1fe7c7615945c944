import { expect, test } from "vitest";
import type { Latent } from "./arithmetic.ts";
import { predictedEps, predictedX0, predictionTarget } from "./prediction.ts";
import { addNoise, cosineSchedule, levelAt } from "./schedule.ts";
import { entryOf, mismatch, openGolden, SCHEDULE, SCHEDULE_NATIVE } from "./test-support.ts";

const golden = await openGolden("schedule.safetensors");
const cosine = cosineSchedule();

test("predictedX0, predictedEps, predictionTarget and addNoise equal the golden conversions", () => {
  const x0 = golden("conv/x0");
  const eps = golden("conv/eps");
  for (const [i, time] of golden("conv/t").data.entries()) {
    const level = levelAt(cosine, time);
    const check = (seen: Latent, name: string, tolerance: { abs: number; rel: number }) =>
      expect(
        mismatch(seen.data, entryOf(golden(`conv/${name}`), i).data, tolerance),
        `${name} t=${time}`,
      ).toBe(undefined);
    const xt = addNoise(x0, eps, level);
    check(xt, "x_t", SCHEDULE);
    check(xt, "native_x_t", SCHEDULE);
    const v = predictionTarget("v_prediction", x0, eps, level);
    check(v, "v", SCHEDULE);
    check(predictedX0("epsilon", eps, entryOf(golden("conv/x_t"), i), level), "x0_from_eps", SCHEDULE_NATIVE);
    check(predictedEps("sample", x0, entryOf(golden("conv/x_t"), i), level), "eps_from_x0", SCHEDULE_NATIVE);
    check(predictedX0("v_prediction", v, xt, level), "x0_from_v", SCHEDULE_NATIVE);
  }
});
