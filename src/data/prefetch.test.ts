import { expect, test } from "vitest";
import { prefetch } from "./prefetch.ts";

/** A clock and timers that move only by hand, so that waiting can be told exactly. */
function handClock() {
  let time = 0;
  let timers: { at: number; ring: () => void }[] = [];
  return {
    now: () => time,
    sleep: (ms: number) => new Promise<void>((ring) => timers.push({ at: time + ms, ring })),
    async advance(ms: number) {
      for (const end = time + ms; time < end; ) {
        time++;
        const due = timers.filter(({ at }) => at <= time);
        timers = timers.filter(({ at }) => at > time);
        for (const { ring } of due) ring();
        // Lets everything that follows from a timer happen before the clock moves on.
        for (let i = 0; i < 20; i++) await Promise.resolve();
      }
    },
  };
}

test("prefetch hands items out in order, whatever is ready first, and never makes more than depth ahead", async () => {
  const started: number[] = [];
  let running = 0;
  let most = 0;
  const ahead = prefetch(
    async (index) => {
      started.push(index);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, index % 3 === 0 ? 8 : 1));
      running--;
      return index;
    },
    { first: 5, depth: 4, now: () => 0 },
  );
  const got: number[] = [];
  for (let i = 0; i < 12; i++) got.push(await ahead.next());
  expect(got).toEqual(Array.from({ length: 12 }, (_, i) => i + 5));
  expect(most).toBe(4);
  expect(started).toEqual(started.map((_, i) => i + 5));
  ahead.stop();
});

test("prefetch reports exactly the time that the taker waits", async () => {
  const { now, sleep, advance } = handClock();
  const share = async (make: number, use: number) => {
    const ahead = prefetch(async () => sleep(make), { first: 0, depth: 1, now });
    const user = (async () => {
      for (let i = 0; i < 10; i++) {
        await ahead.next();
        await sleep(use);
      }
      return ahead.waiting();
    })();
    await advance(3000);
    ahead.stop();
    return user;
  };
  // One is made while one is used: the user waits for the rest only, nine times after the first.
  const slow = await share(100, 60);
  expect(slow.waited - 100).toBe(9 * 40);
  expect(slow.share).toBeCloseTo((9 * 40) / (9 * 40 + 10 * 60), 10);
  expect((await share(50, 60)).share).toBe(0);
});

test("prefetch gives a failure in its turn and again afterwards", async () => {
  const ahead = prefetch(
    async (index) => {
      if (index === 2) throw new Error("item 2");
      return index;
    },
    { first: 0, depth: 3, now: () => 0 },
  );
  expect([await ahead.next(), await ahead.next()]).toEqual([0, 1]);
  await expect(ahead.next()).rejects.toThrow("item 2");
  await expect(ahead.next()).rejects.toThrow("item 2");
  const stopped = prefetch(async (index) => index, { first: 0, depth: 2, now: () => 0 });
  expect(await stopped.next()).toBe(0);
  stopped.stop();
  await expect(stopped.next()).rejects.toMatchObject({ code: "cancelled" });
});
