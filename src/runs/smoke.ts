import { parseRun, type RunConfig } from "./config.ts";

/**
 * The same run in seconds: every stage with two updates of two samples for each of so many processes, every kind of file
 * written.
 */
export function smokeOf(config: RunConfig, processes: number): RunConfig {
  const [batch, every] = [2 * processes, 4 * processes];
  const small = {
    ...config,
    ...("prior" in config && config.prior !== undefined
      ? { prior: { ...config.prior, samples: 2, steps: 2 } }
      : {}),
    stages: config.stages.map((stage) => ({ ...stage, batch, parts: processes, samples: every, warmUp: 0 })),
    checkpoints: { ...config.checkpoints, every },
  };
  if (!("sheets" in config) || config.sheets === undefined) return parseRun(small, "smoke");
  const prompts = config.sheets.prompts.slice(0, 2);
  return parseRun({ ...small, sheets: { ...config.sheets, every, steps: 2, prompts } }, "smoke");
}
