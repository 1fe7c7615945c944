import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import { readSafetensorsHeader } from "../../src/checkpoint/mod.ts";
import { float32 } from "../../src/tensor/mod.ts";
import { differenceOf, lastLine } from "./report.ts";

const golden = fileURLToPath(new URL("../../../golden", import.meta.url));
const main = fileURLToPath(new URL("./main.js", import.meta.url));

const copies: string[] = [];
afterEach(() => {
  for (const copy of copies.splice(0)) rmSync(copy, { recursive: true, force: true });
});

/** A folder with some of the golden data. */
function copyOf(...paths: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), "parity-test-"));
  copies.push(folder);
  for (const path of ["manifest.json", ...paths])
    cpSync(join(golden, path), join(folder, path), { recursive: true });
  return folder;
}

const SCHEDULE = ["schedule.json", "schedule.safetensors", "tiny-k3/scheduler"];
const TEXT = [
  "text-encoder.json",
  "text-encoder.safetensors",
  "tiny-k3/text_encoder",
  "tiny-k3-fp16/text_encoder",
];

function run(folder: string) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, folder], { encoding: "utf8" });
  const lines = stdout.trimEnd().split("\n");
  return { status, stderr, lines, last: lines.at(-1) ?? "", failed: failedIn(lines) };
}

function failedIn(lines: readonly string[]): string[] {
  return lines.filter((line) => line.startsWith("failed: ")).map((line) => line.slice("failed: ".length));
}

/** Adds to one stored value. */
async function nudge(file: string, tensor: string, index: number, by: number): Promise<void> {
  const { entries } = await readSafetensorsHeader(file);
  const bytes = readFileSync(file);
  const at = entries.get(tensor)!.offset + 4 * index;
  bytes.writeFloatLE(bytes.readFloatLE(at) + by, at);
  writeFileSync(file, bytes);
}

function editJson(path: string, edit: (json: Record<string, Record<string, unknown>>) => void): void {
  const json = JSON.parse(readFileSync(path, "utf8"));
  edit(json);
  writeFileSync(path, JSON.stringify(json));
}

test("parity: a value that is off by three tolerances fails by name", { timeout: 60_000 }, async () => {
  const folder = copyOf(...SCHEDULE, ...TEXT);
  // Class text-encoder: 5e-5. Class schedule: 5e-5 and 1e-5 of the largest value, which is about 4.
  await nudge(join(folder, "text-encoder.safetensors"), "short/hidden_1", 40, 15e-5);
  await nudge(join(folder, "schedule.safetensors"), "ddpm4/prev", 7, 3 * 9e-5);
  const { status, failed, lines } = run(folder);
  expect(status, lines.join("\n")).toBe(1);
  expect(failed.sort()).toEqual([
    "schedule.safetensors ddpm4/prev",
    "text-encoder.safetensors short/hidden_1",
  ]);
  const line = lines.find((text) => text.startsWith("text-encoder.safetensors short/hidden_1 "));
  expect(line).toMatch(/at \[0,1,8\] {2}ratio (2\.9|3\.0)/);
});

test("parity: an exact list that differs fails", () => {
  const folder = copyOf(...SCHEDULE);
  editJson(join(folder, "schedule.json"), (json) => {
    (json["ddpm_timesteps"]!["4"] as number[])[1] = 500;
  });
  const { status, failed } = run(folder);
  expect({ status, failed }).toEqual({ status: 1, failed: ["schedule.json ddpm_timesteps 4"] });
});

test("parity: a tensor that nobody looks at fails", () => {
  const folder = copyOf(...SCHEDULE);
  // The fixture stays as it is: what was an input is now expected, and no kind computes it.
  editJson(join(folder, "manifest.json"), (json) => {
    const fixtures = json["fixtures"] as unknown as { file: string; tensors: Record<string, unknown> }[];
    const { tensors } = fixtures.find(({ file }) => file === "schedule.safetensors")!;
    tensors["fake/offset"] = ["expected", "F32", [2, 4, 3, 5], "schedule"];
    delete tensors["conv/v"];
    tensors["conv/w"] = ["expected", "F32", [1], "schedule"];
  });
  const { status, failed } = run(folder);
  expect(status).toBe(1);
  expect(failed).toContain("schedule.safetensors fake/offset");
  expect(failed).toContain("schedule.safetensors conv/v");
  expect(failed).toContain("schedule.safetensors conv/w");
});

test("parity: unknown files and unknown kinds of case fail", () => {
  const folder = copyOf(...SCHEDULE, "pipelines");
  cpSync(join(folder, "schedule.json"), join(folder, "controlnet.json"));
  const index = join(folder, "pipelines", "index.json");
  editJson(index, (json) => {
    for (const name of Object.keys(json)) if (name !== "mask") delete json[name];
    json["mask"]!["kind"] = "regional prompts";
  });
  const { status, failed } = run(folder);
  expect(status).toBe(1);
  expect(failed).toContain("controlnet.json");
  expect(failed).toContain("pipelines mask");
  expect(failed).toContain("pipelines/t2i-cfg3.safetensors");
});

test("parity: a checkpoint with another value, or accepted against its expectation, fails", () => {
  const folder = copyOf("checkpoints", "native", "tiny-k3/text_encoder", "tiny-k3/unet");
  editJson(join(folder, "checkpoints/expected.json"), (json) => {
    (json["files"]!["handmade.pt"] as Record<string, unknown>)["expect"] = "reject";
  });
  const views = join(folder, "checkpoints/views-legacy.pt");
  const bytes = readFileSync(views);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(views, bytes);
  const { status, failed } = run(folder);
  expect(status).toBe(1);
  expect(failed.sort()).toEqual(["checkpoints/handmade.pt", "checkpoints/views-legacy.pt"]);
});

test("parity: a folder without cases fails, one that is not there is the user's mistake", () => {
  const { status, last } = run(join(copyOf("tiny-k3/scheduler"), "tiny-k3"));
  expect({ status, last }).toEqual({
    status: 1,
    last: "compared 0, not yet 0, of 0 tensors; worst 0 of tolerance at nothing",
  });
  expect(run(join(golden, "nowhere"))).toMatchObject({ status: 2, lines: [""] });
});

test("differenceOf follows the rule of the manifest and names the worst place", () => {
  const wanted = float32([2, 2], [0, 10, -20, 1]);
  const seen = float32([2, 2], [0, 10, -20, 1.5]);
  const rule = { name: "rule", abs: 0.1, rel: 0.01 };
  const { worst, place, ratio } = differenceOf(seen, wanted, rule);
  expect([worst, place]).toEqual([0.5, [1, 1]]);
  expect(ratio).toBeCloseTo(0.5 / 0.3, 12);
  expect(differenceOf(wanted, wanted, { name: "exact", abs: 0, rel: 0 }).ratio).toBe(0);
  expect(differenceOf(seen, wanted, { name: "exact", abs: 0, rel: 0 }).ratio).toBe(Number.POSITIVE_INFINITY);
  const broken = float32([2, 2], [0, Number.NaN, -20, 1]);
  expect(differenceOf(broken, wanted, rule)).toMatchObject({
    place: [0, 1],
    ratio: Number.POSITIVE_INFINITY,
  });
});

test("lastLine is what others parse", () => {
  const worst = { name: "a.safetensors b", tolerance: "unet", worst: 1, place: [0], ratio: 0.25 };
  expect(lastLine({ compared: 2, notYet: 3, failures: [], worst })).toBe(
    "compared 2, not yet 3, of 5 tensors; worst 0.2500 of tolerance at a.safetensors b",
  );
});
