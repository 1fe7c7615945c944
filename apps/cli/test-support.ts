import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import { runCommandLine } from "./program.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const MAIN = fileURLToPath(new URL("./main.js", import.meta.url));

/** A model of few channels whose pictures mean nothing; 64 pixels a unit. */
export const TINY = join(ROOT, "golden", "tiny-k3");

/** An empty folder that goes away with the test. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "kandinsky-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A copy of the tiny model to break, without prepared weights. */
export function copyOfTiny(folder: string): string {
  const model = join(folder, "model");
  cpSync(TINY, model, { recursive: true, filter: (source) => basename(source) !== ".kandinsky" });
  return model;
}

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Running {
  readonly outcome: Promise<Outcome>;
  readonly kill: (signal: NodeJS.Signals) => void;
  readonly pid: number;
}

interface RunOptions {
  readonly cwd?: string;
  readonly input?: string;
  /** Gets standard output as it comes. */
  readonly onOutput?: (text: string) => void;
}

const ENV = { PATH: process.env["PATH"], LC_ALL: "C", HOME: tmpdir() };

/** Starts the compiled command line as users do: in a process of its own. */
export function startCli(
  args: readonly string[],
  { cwd = tmpdir(), input = "", onOutput }: RunOptions = {},
): Running {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, env: ENV });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    onOutput?.(text);
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  child.stdin.end(input);
  const outcome = new Promise<Outcome>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr }));
  });
  return { outcome, kill: (signal) => void child.kill(signal), pid: child.pid! };
}

export function runCli(args: readonly string[], options: RunOptions = {}): Promise<Outcome> {
  return startCli(args, options).outcome;
}

/** Runs a command line in this process: for mistakes that are found before any work. */
export async function runHere(args: readonly string[], env: Record<string, string> = {}): Promise<Outcome> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const said = [stdout, stderr].map(async (stream) => {
    let text = "";
    for await (const chunk of stream.setEncoding("utf8")) text += chunk as string;
    return text;
  });
  const code = await runCommandLine(args, {
    env,
    stdin: Readable.from([]) as unknown as NodeJS.ReadStream,
    stdout: stdout as unknown as NodeJS.WriteStream,
    stderr: stderr as unknown as NodeJS.WriteStream,
    signal: new AbortController().signal,
    takeTime: () => {},
  });
  stdout.end();
  stderr.end();
  return { code, stdout: (await said[0])!, stderr: (await said[1])! };
}
