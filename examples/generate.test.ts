import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodePicture, readMetadata } from "kandinsky";
import { expect, test } from "vitest";

const EXAMPLE = fileURLToPath(new URL("./generate.js", import.meta.url));

test("generate: the example draws a picture that carries its settings", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kandinsky-example-"));
  try {
    const file = join(folder, "cat.png");
    const { status, stdout, stderr } = spawnSync(process.execPath, [EXAMPLE, "a cat", file], {
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toContain("step 25 of 25");
    const bytes = readFileSync(file);
    expect(await decodePicture(bytes)).toMatchObject({ width: 64, height: 64 });
    expect((await readMetadata(bytes)).json).toMatchObject({ request: { prompt: "a cat", seed: 7 } });
  } finally {
    rmSync(folder, { recursive: true });
  }
});
