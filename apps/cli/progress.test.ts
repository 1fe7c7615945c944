import { expect, test, vi } from "vitest";
import type { Context } from "./context.ts";
import { MESSAGES } from "./messages/mod.ts";
import { startProgress } from "./progress.ts";

/** A context whose standard error is kept as text. */
function fake(isTTY: boolean, env: Record<string, string> = {}) {
  let said = "";
  const stderr = {
    isTTY,
    rows: 40,
    columns: 100,
    write: (text: string) => {
      said += text;
      return true;
    },
  };
  const context = { language: "en", text: MESSAGES.en, env, stderr } as unknown as Context;
  return { context, said: () => said };
}

const STEP = { label: "drawing", detail: "step 6/12", fraction: 0.5, secondsLeft: 65 };

test("startProgress draws a bar in a terminal and takes it away", () => {
  const { context, said } = fake(true, { NO_COLOR: "1" });
  const progress = startProgress(context);
  progress.update(STEP);
  expect(said()).toBe("\r\x1b[K[############------------] drawing, step 6/12, 1 min 5 sec left");
  progress.clear();
  expect(said().endsWith("\r\x1b[J")).toBe(true);
});

test("startProgress makes room for a preview once and draws it below the bar", () => {
  const { context, said } = fake(true);
  const progress = startProgress(context);
  progress.update(STEP);
  const before = said().length;
  progress.show("PICTURE\n", 5);
  const room = `${"\n".repeat(6)}\x1b[6A`;
  expect(said().slice(before)).toContain(room);
  progress.show("PICTURE\n", 5);
  expect(said().split(room)).toHaveLength(2);
  expect(said().split("\x1b7\nPICTURE\n\x1b8")).toHaveLength(3);
});

test("startProgress keeps plain lines rare and colourless elsewhere", () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  try {
    const { context, said } = fake(false);
    const progress = startProgress(context);
    progress.update(STEP);
    expect(said()).toBe("");
    vi.advanceTimersByTime(10_001);
    progress.update(STEP);
    progress.update(STEP);
    expect(said()).toBe("drawing, step 6/12, 1 min 5 sec left\n");
  } finally {
    vi.useRealTimers();
  }
});
