import { expect, test } from "vitest";
import { SideEvents } from "./merge.ts";

const soon = () => new Promise<void>((resolve) => setImmediate(resolve));

async function collect<T>(events: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const event of events) all.push(event);
  return all;
}

test("SideEvents come where they were pushed, before the event that was waited for", async () => {
  const side = new SideEvents<string>();
  async function* source() {
    side.push("before a");
    await soon();
    yield "a";
    side.push("1");
    await soon();
    side.push("2");
    side.push("3");
    yield "b";
    await soon();
    side.push("last");
  }
  expect(await collect(side.mergeInto(source()))).toEqual(["before a", "a", "1", "2", "3", "b", "last"]);
});

test("SideEvents come while the source is still busy", async () => {
  const side = new SideEvents<string>();
  let release = () => {};
  async function* source() {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    yield "done";
  }
  const merged = side.mergeInto(source());
  const first = merged.next();
  await soon();
  side.push("progress");
  expect(await first).toEqual({ done: false, value: "progress" });
  const second = merged.next();
  release();
  expect(await second).toEqual({ done: false, value: "done" });
  expect((await merged.next()).done).toBe(true);
});

test("SideEvents let through what the source throws, after what was pushed before", async () => {
  const side = new SideEvents<string>();
  const bug = new Error("bug");
  // biome-ignore lint/correctness/useYield: it fails before its first event
  async function* source(): AsyncGenerator<string, void, void> {
    side.push("pushed");
    throw bug;
  }
  const merged = side.mergeInto(source());
  expect(await merged.next()).toEqual({ done: false, value: "pushed" });
  await expect(merged.next()).rejects.toBe(bug);
});

test("SideEvents: who stops reading ends the source", async () => {
  const side = new SideEvents<string>();
  let ended = false;
  async function* source() {
    try {
      for (;;) yield "again";
    } finally {
      ended = true;
    }
  }
  for await (const event of side.mergeInto(source())) {
    expect(event).toBe("again");
    break;
  }
  expect(ended).toBe(true);
});
