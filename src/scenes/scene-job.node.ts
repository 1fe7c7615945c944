import type { Picture } from "../image/mod.ts";
import { composeScene } from "./compose.ts";
import { type MastersRequest, openMasters } from "./masters.node.ts";
import type { SceneSpec } from "./spec.ts";

/** Scenes to draw, all of one size. */
export interface SceneJob {
  readonly specs: readonly SceneSpec[];
  readonly width: number;
  readonly height: number;
}

/** The work of a thread of `openWorkerPool`: it has masters of its own. */
export async function makeJob(
  request: Omit<MastersRequest, "onStage">,
): Promise<(job: SceneJob) => Promise<readonly Picture[]>> {
  const masters = await openMasters(request);
  return async ({ specs, width, height }) => specs.map((spec) => composeScene(spec, masters, width, height));
}
