#!/usr/bin/env node
import { runCommandLine } from "./program.ts";

/** After the first Ctrl-C a command has this long to save where it stands. */
const GRACE_MILLISECONDS = 900;
const CANCELLED = 130;
const ENVIRONMENT = 3;

const controller = new AbortController();
let isUnhurried = false;
for (const name of ["SIGINT", "SIGTERM"] as const) {
  process.on(name, () => {
    if (controller.signal.aborted) process.exit(CANCELLED);
    controller.abort();
    if (!isUnhurried) setTimeout(() => process.exit(CANCELLED), GRACE_MILLISECONDS);
  });
}
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    // A reader that closes the pipe, such as `head`, is no mistake.
    if (error.code === "EPIPE") return;
    if (stream === process.stdout) process.stderr.write(`${error.message}\n`);
    process.exit(ENVIRONMENT);
  });
}

const { env, stdin, stdout, stderr } = process;
const code = await runCommandLine(process.argv.slice(2), {
  env,
  stdin,
  stdout,
  stderr,
  signal: controller.signal,
  takeTime: () => {
    isUnhurried = true;
  },
});
// Pipes are written in the background on some systems: what was said must be out before the end.
await Promise.all([stdout, stderr].map((stream) => new Promise((done) => stream.write("", done))));
process.exit(controller.signal.aborted ? CANCELLED : code);
