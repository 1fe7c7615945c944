import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";
import { KandinskyError } from "../base/mod.ts";
import type { Answer, CallName, Calls } from "./protocol.ts";

/** The parent's end of the pipe to an engine's process. */
export interface Connection {
  readonly pid: number | undefined;
  /** Sends a request; rejects with the engine's failure, or `engine_died` or `cancelled` where it ends. */
  call<K extends CallName>(call: K, params: Calls[K]["params"]): Promise<Calls[K]["answer"]>;
  /** Ends the process at once; whatever is pending rejects with `cancelled` without waiting for its end. */
  kill(): void;
  /** Settles when the process is gone. */
  readonly gone: Promise<void>;
}

interface Pending {
  readonly resolve: (value: Calls[CallName]["answer"]) => void;
  readonly reject: (error: KandinskyError) => void;
}

/** Characters of the engine's error output that are kept for the message when it dies. */
const STDERR_KEPT = 2000;

/** Starts an engine's process. While nothing is pending it does not keep the parent alive. */
export function connect(): Connection {
  const script = fileURLToPath(new URL("./engine-process.js", import.meta.url));
  const child = fork(script, {
    serialization: "advanced",
    execArgv: ["--expose-gc"],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  const pending = new Map<number, Pending>();
  let lastId = 0;
  let end: KandinskyError | undefined;
  let stderr = "";

  const finish = (error: KandinskyError): void => {
    end ??= error;
    for (const { reject } of pending.values()) reject(end);
    pending.clear();
  };
  const kill = (): void => {
    finish(cancelled());
    setKeepAlive(child, true);
    child.kill("SIGKILL");
  };
  const killWithParent = (): boolean => child.kill("SIGKILL");
  process.on("exit", killWithParent);

  const gone = new Promise<void>((resolve) => {
    const settle = (error: KandinskyError): void => {
      finish(error);
      process.removeListener("exit", killWithParent);
      resolve();
    };
    // "close" rather than "exit": by then its last words on the error output have been read.
    child.on("close", (code, signal) => settle(deathError(code, signal, stderr)));
    child.on("error", (cause) => {
      if (child.pid === undefined) settle(startError(cause));
    });
  });

  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr = (stderr + text).slice(-STDERR_KEPT);
  });
  child.on("message", (answer: Answer) => {
    const waiting = pending.get(answer.id);
    if (waiting === undefined) return;
    pending.delete(answer.id);
    if (pending.size === 0) setKeepAlive(child, false);
    if ("failure" in answer) waiting.reject(new KandinskyError(answer.failure.code, answer.failure.parts));
    else waiting.resolve(answer.value);
  });
  setKeepAlive(child, false);

  return {
    pid: child.pid,
    gone,
    kill,
    call<K extends CallName>(call: K, params: Calls[K]["params"]): Promise<Calls[K]["answer"]> {
      if (end !== undefined) return Promise.reject(end);
      lastId += 1;
      const id = lastId;
      setKeepAlive(child, true);
      return new Promise<Calls[K]["answer"]>((resolve, reject) => {
        pending.set(id, { resolve: resolve as Pending["resolve"], reject });
        // A pipe that closed means that the process ends: its exit says how, and settles this call.
        child.send({ id, call, params }, () => {});
      });
    },
  };
}

function setKeepAlive(child: ChildProcess, keep: boolean): void {
  const act = keep ? "ref" : "unref";
  child[act]();
  child.channel?.[act]();
  (child.stderr as Socket | null)?.[act]();
}

/** The error of everything that was under way when the user or the program ended it. */
export function cancelled(): KandinskyError {
  return new KandinskyError("cancelled", { what: "cancelled" });
}

function startError(cause: Error): KandinskyError {
  return new KandinskyError(
    "engine_died",
    { what: "cannot start the engine's process", seen: cause.message, hint: "free memory or processes" },
    { cause },
  );
}

/** What probably happened, by the signal that ended the process. */
const CAUSES: Readonly<Partial<Record<NodeJS.Signals, string>>> = {
  SIGKILL:
    "the system probably ended it because memory ran out: choose a smaller size, close other programs or add swap",
  SIGBUS:
    "a weights file was probably cut short or its disk failed while it was in use: check the model folder",
  SIGILL: "this processor probably lacks an instruction that ONNX Runtime needs",
  SIGTERM: "something outside ended it",
};

const OTHER_CAUSE = "this is a fault of ONNX Runtime or its driver; `kandinsky doctor` tells what works here";

/** Why the process ended, as far as its exit tells. */
export function deathError(
  code: number | null,
  signal: NodeJS.Signals | null,
  stderr: string,
): KandinskyError {
  // Ctrl-C in the moment before the process has set its handler.
  if (signal === "SIGINT") return cancelled();
  const outOfMemory = /bad_alloc|out of memory/i.test(stderr);
  const lastLine = stderr.trim().split("\n").at(-1) ?? "";
  return new KandinskyError("engine_died", {
    what: "the engine's process ended",
    seen: (signal === null ? `exit code ${code}` : `signal ${signal}`) + (lastLine && ` (${lastLine})`),
    hint: (outOfMemory ? CAUSES.SIGKILL : signal === null ? undefined : CAUSES[signal]) ?? OTHER_CAUSE,
  });
}
