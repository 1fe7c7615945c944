import { fork, spawn } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { KandinskyError } from "../src/base/mod.ts";
import type { Job, Kind, Results, Timed } from "./jobs.ts";

/** What the visiting process says. */
export type FromVisit =
  | { readonly line: string }
  | { readonly results: readonly unknown[] }
  | { readonly failure: string };

const VISIT = fileURLToPath(new URL("./visit.js", import.meta.url));
/** The compiled files lie in dist/bench. */
const PEER = fileURLToPath(new URL("../../bench/peer.py", import.meta.url));

/** Does a job with our engine in a process of its own. Throws `cancelled`, `engine_died`. */
export function visitOurs<K extends Kind>(
  job: Job<K>,
  tell: (line: string) => void,
  signal: AbortSignal,
): Promise<Results[K][]> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = fork(VISIT, { signal, killSignal: "SIGKILL", serialization: "advanced" });
    child.on("message", (message: FromVisit) => {
      if ("line" in message) tell(message.line);
      else if ("results" in message) resolve(message.results as Results[K][]);
      else reject(died(message.failure));
    });
    child.on("error", reject);
    // After an answer this changes nothing.
    child.on("exit", (code, by) => reject(died(by === null ? `exit code ${code}` : `signal ${by}`)));
    child.send(job);
  });
}

/** What diffusers did, or why it did not. */
export type Peer = { readonly cases: readonly Timed[] } | { readonly failure: string };

/** Does a job with diffusers. The job goes through a file beside its outputs; a failure there is only told. */
export async function visitPeer(
  python: string,
  job: Job,
  tell: (line: string) => void,
  signal: AbortSignal,
  environment: Readonly<Record<string, string>> = {},
): Promise<Peer> {
  const file = `${job.outputs}.job.json`;
  await writeFile(file, JSON.stringify(job));
  const { code, stdout, stderr } = await run(python, [PEER, file], signal, tell, environment);
  await rm(file);
  if (code === 0) return { cases: JSON.parse(stdout) as Timed[] };
  return { failure: lastLine(stderr) || `exit code ${code}` };
}

const VERSIONS = `import json, torch, diffusers, transformers, safetensors
print(json.dumps({m.__name__: m.__version__ for m in (torch, diffusers, transformers)}))`;

/** Versions of what `peer.py` needs, by name; throws `option_invalid` where something is not there. */
export async function peerVersions(python: string, signal: AbortSignal): Promise<Record<string, string>> {
  const { code, stdout, stderr } = await run(python, ["-c", VERSIONS], signal).catch((cause: Error) => {
    signal.throwIfAborted();
    return { code: null, stdout: "", stderr: cause.message };
  });
  if (code === 0) return JSON.parse(stdout.trim().split("\n").at(-1)!);
  throw new KandinskyError("option_invalid", {
    what: "cannot use this Python",
    where: `--python ${python}`,
    seen: lastLine(stderr),
    wanted: "a Python with torch, diffusers, transformers, safetensors and sentencepiece",
  });
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)!;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export function run(
  program: string,
  args: readonly string[],
  signal: AbortSignal,
  tell: (line: string) => void = () => {},
  environment: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const child = spawn(program, args, {
      signal,
      killSignal: "SIGKILL",
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      for (const line of text.split("\n")) if (line.startsWith("bench: ")) tell(line.slice("bench: ".length));
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
}

function died(seen: string): KandinskyError {
  return new KandinskyError("engine_died", { what: "a measurement ended early", seen });
}
