import { expect, test } from "vitest";
import { deviceAbsent } from "./absence.ts";
import { describeDevices, startEngine } from "./mod.ts";
import { failure } from "./test-support.ts";

test("describeDevices finds the processor and gives a reason for each absent device", async () => {
  const reports = await describeDevices();
  expect(reports.map(({ device }) => device)).toEqual(["cpu", "webgpu", "cuda"]);
  expect(reports[0]).toEqual({ device: "cpu", available: true });
  for (const report of reports) {
    if (report.available) continue;
    expect(report.reason.length, report.device).toBeGreaterThan(10);
    expect(report.hint.length, report.device).toBeGreaterThan(10);
    const seen = await failure(startEngine({ device: report.device }));
    expect(seen.code).toBe("device_absent");
    expect(seen.message).toContain(report.reason);
  }
});

const SYMPTOMS = { platform: "linux", arch: "x64", listed: true, cudaLibrary: false, message: "" };

test("deviceAbsent tells the platform, the missing library and the missing adapter apart", () => {
  const reason = (...args: Parameters<typeof deviceAbsent>) => deviceAbsent(...args).parts.seen;
  expect(reason("cuda", { ...SYMPTOMS, platform: "darwin", listed: false })).toContain("darwin");
  expect(reason("cuda", SYMPTOMS)).toContain("not installed");
  const message = "Cuda: Failed to load shared library";
  expect(reason("cuda", { ...SYMPTOMS, cudaLibrary: true, message })).toContain("does not load");
  expect(reason("webgpu", { ...SYMPTOMS, arch: "arm64", listed: false })).toContain("linux arm64");
  const adapter = "Failed to get a WebGPU adapter: No supported adapters";
  expect(reason("webgpu", { ...SYMPTOMS, message: adapter })).toContain("Vulkan");
  expect(reason("webgpu", { ...SYMPTOMS, platform: "win32", message: adapter })).not.toContain("Vulkan");
  expect(reason("cpu", { ...SYMPTOMS, message: "a.cc:12 f wrong  image" })).toBe("wrong image");
});
