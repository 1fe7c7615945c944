import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { KandinskyError } from "../src/base/mod.ts";
import { EMBEDDED_MODEL, removeTexts } from "../src/pipelines/mod.ts";
import type { Context } from "./compare.ts";
import { writeInputs } from "./inputs.ts";
import type { Job } from "./jobs.ts";
import { timed } from "./measure.ts";
import { run, visitPeer } from "./processes.ts";

/** Seconds of whole processes that draw one picture: start, read the model, draw, write or end. */
export interface Cold {
  readonly seconds: readonly number[];
  readonly diffusersSeconds?: readonly number[];
}

const COMMAND = fileURLToPath(new URL("../apps/cli/main.js", import.meta.url));

/** Runs the command line from start to file again and again, in turn with a Python process that draws the same. */
export async function coldStarts({ scale, scratch, python, threads, tell, signal }: Context): Promise<Cold> {
  const one = scale.nano[0]!;
  const output = join(scratch, "nano.png");
  const size = `${one.side}x${one.side}`;
  const options = {
    "--size": size,
    "--steps": one.steps,
    "--seed": one.seed,
    "--threads": threads,
    "--output": output,
  };
  const args = [
    COMMAND,
    "generate",
    one.prompt,
    "--overwrite",
    ...Object.entries(options).flat().map(String),
  ];
  const ours = async () => {
    const { code, stderr } = await run(process.execPath, args, signal);
    if (code === 0) return;
    throw new KandinskyError("engine_died", { what: "the command line failed", seen: stderr.trim() });
  };
  const inputs = join(scratch, "nano-inputs.safetensors");
  const job: Job<"nano"> = {
    kind: "nano",
    model: EMBEDDED_MODEL,
    inputs,
    outputs: join(scratch, "nano-cold.safetensors"),
    threads,
    cases: [{ ...one, repeats: 0 }],
  };
  await writeInputs(inputs, "nano", job.cases, scale);

  const seconds: number[] = [];
  const diffusersSeconds: number[] = [];
  let peerWorks = python !== undefined;
  // The first run may still write packed weights beside the model.
  await ours();
  for (let i = 0; i < scale.coldRuns; i++) {
    tell(`nano: command line ${i + 1} of ${scale.coldRuns}`);
    await removeTexts(EMBEDDED_MODEL);
    seconds.push((await timed(ours)).seconds);
    if (python === undefined || !peerWorks) continue;
    const theirs = await timed(() => visitPeer(python, job as Job, () => {}, signal));
    peerWorks = "cases" in theirs.value;
    if (peerWorks) diffusersSeconds.push(theirs.seconds);
  }
  return diffusersSeconds.length > 0 ? { seconds, diffusersSeconds } : { seconds };
}
