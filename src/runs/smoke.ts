import { parseRun, type RunConfig } from "./config.ts";

/** The same run in seconds: every stage with two updates of two samples, every kind of file written. */
export function smokeOf(config: RunConfig): RunConfig {
  const small = {
    ...config,
    ...("prior" in config && config.prior !== undefined
      ? { prior: { ...config.prior, samples: 2, steps: 2 } }
      : {}),
    stages: config.stages.map((stage) => ({ ...stage, batch: 2, parts: 1, samples: 4, warmUp: 0 })),
    checkpoints: { ...config.checkpoints, every: 4 },
  };
  if (!("sheets" in config) || config.sheets === undefined) return parseRun(small, "smoke");
  const prompts = config.sheets.prompts.slice(0, 2);
  return parseRun({ ...small, sheets: { ...config.sheets, every: 4, steps: 2, prompts } }, "smoke");
}
