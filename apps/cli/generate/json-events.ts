import type { GenerateEvent } from "../../../src/pipelines/mod.ts";

type Told = Exclude<GenerateEvent, { type: "picture" }>;

/** An event as `--json` prints it: without pixels and latents. */
export function jsonLine(event: Told): object {
  if (event.type !== "step") return event;
  const { type, pictures, index, total, seconds } = event;
  return { type, pictures, index, total, seconds };
}
