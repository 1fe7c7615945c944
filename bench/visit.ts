/**
 * A process that does one job and ends, so that its memory figures are its own. Started by `processes.ts`, which
 * sends the job and reads lines of progress and the results.
 */
import { KandinskyError } from "../src/base/mod.ts";
import type { Job, Kind, Visit } from "./jobs.ts";
import type { FromVisit } from "./processes.ts";
import { visitMovq } from "./visits/movq.ts";
import { visitNano } from "./visits/nano.ts";
import { visitPeak } from "./visits/peak.ts";
import { visitStep } from "./visits/step.ts";
import { visitText } from "./visits/text.ts";
import { visitUNet } from "./visits/unet.ts";

const VISITS: { readonly [K in Kind]: Visit<K> } = {
  peak: visitPeak,
  unet: visitUNet,
  movq: visitMovq,
  text: visitText,
  nano: visitNano,
  step: visitStep,
};

process.once("message", async (job: Job) => {
  const send = (message: FromVisit) => new Promise((sent) => process.send?.(message, sent));
  try {
    const visit = VISITS[job.kind] as Visit<Kind>;
    await send({ results: await visit(job, (line) => void send({ line })) });
  } catch (error) {
    const known = error instanceof KandinskyError;
    await send({ failure: known ? error.message : String(error instanceof Error ? error.stack : error) });
  }
  process.exit();
});
// Whoever asked is gone.
process.on("disconnect", () => process.exit());
