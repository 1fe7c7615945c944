import { expect, test } from "vitest";
import { memoryRoom, processMemory, watchMemory } from "./memory.ts";

const GB = 1e9;
const MEMINFO = "MemTotal: 32000000 kB\nMemFree: 1000 kB\nMemAvailable: 20000000 kB\n";

const reading = (files: Record<string, string>) => async (path: string) =>
  ({ "/proc/meminfo": MEMINFO, ...files })[path];

const V1 = {
  "/proc/self/cgroup": "9:cpu:/\n4:memory:/jobs/seven\n0::/\n",
  "/proc/self/mountinfo": "30 25 0:26 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n",
  "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
  "/sys/fs/cgroup/memory/memory.usage_in_bytes": "123\n",
  "/sys/fs/cgroup/memory/jobs/memory.limit_in_bytes": `${9 * GB}\n`,
  "/sys/fs/cgroup/memory/jobs/memory.usage_in_bytes": `${8 * GB}\n`,
  "/sys/fs/cgroup/memory/jobs/memory.stat": `total_inactive_file ${GB}\ntotal_active_file ${GB}\ntotal_rss 5\n`,
  "/sys/fs/cgroup/memory/jobs/seven/memory.limit_in_bytes": `${8 * GB}\n`,
  "/sys/fs/cgroup/memory/jobs/seven/memory.usage_in_bytes": `${2 * GB}\n`,
  "/sys/fs/cgroup/memory/jobs/seven/memory.stat": "total_inactive_file 0\ntotal_active_file 0\n",
};

test("memoryRoom is the machine's where no group is narrower", async () => {
  const machine = { freeBytes: 20000000 * 1024, totalBytes: 32000000 * 1024 };
  expect(await memoryRoom(reading({}))).toEqual(machine);
  const unlimited = {
    "/proc/self/cgroup": "0::/user.slice\n",
    "/proc/self/mountinfo": "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n",
    "/sys/fs/cgroup/user.slice/memory.max": "max\n",
    "/sys/fs/cgroup/user.slice/memory.current": "1000\n",
  };
  expect(await memoryRoom(reading(unlimited))).toEqual(machine);
});

test("memoryRoom takes the narrowest of nested groups of version 1, cached files counting as free", async () => {
  // The outer group has 9 - 8 + 2 GB left, the inner one 6.
  expect(await memoryRoom(reading(V1))).toEqual({ freeBytes: 3 * GB, totalBytes: 8 * GB });
});

test("memoryRoom sees a group of version 2, and a container's own where the path is the host's", async () => {
  const v2 = {
    "/proc/self/cgroup": "0::/box/one\n",
    "/proc/self/mountinfo": "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    "/sys/fs/cgroup/box/one/memory.max": `${4 * GB}\n`,
    "/sys/fs/cgroup/box/one/memory.current": `${3 * GB}\n`,
    "/sys/fs/cgroup/box/one/memory.stat": `anon 7\nactive_file ${GB}\ninactive_file ${GB / 2}\n`,
  };
  expect(await memoryRoom(reading(v2))).toEqual({ freeBytes: 2.5 * GB, totalBytes: 4 * GB });
  const docker = {
    "/proc/self/cgroup": "5:cpuset,memory:/docker/abc\n",
    "/proc/self/mountinfo":
      "30 25 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,cpuset,memory\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": `${2 * GB}\n`,
    "/sys/fs/cgroup/memory/memory.usage_in_bytes": `${GB}\n`,
  };
  expect(await memoryRoom(reading(docker))).toEqual({ freeBytes: GB, totalBytes: 2 * GB });
});

test.runIf(process.platform === "linux")("memoryRoom and processMemory tell of this machine", async () => {
  const { freeBytes, totalBytes } = await memoryRoom();
  expect(freeBytes).toBeGreaterThan(1e6);
  expect(totalBytes).toBeGreaterThanOrEqual(freeBytes);
  const own = (await processMemory(process.pid))!;
  expect(own.privateBytes).toBeGreaterThan(5e6);
  expect(own.peakBytes).toBeGreaterThanOrEqual(own.privateBytes);
  expect(await processMemory(2 ** 22 + 1)).toBeUndefined();
});

test.runIf(process.platform === "linux")("watchMemory sees memory that was taken meanwhile", async () => {
  const before = (await processMemory(process.pid))!.privateBytes;
  const watch = watchMemory(() => [process.pid], 10);
  const taken = Buffer.alloc(200e6, 1);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const peak = (await watch.peak())!;
  watch.stop();
  expect(taken[7]).toBe(1);
  expect(peak.privateBytes).toBeGreaterThan(before + 150e6);
  expect(peak.residentBytes).toBeGreaterThanOrEqual(peak.privateBytes);
});
