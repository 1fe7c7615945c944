import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { KandinskyError } from "../base/mod.ts";
import { MASTER_SIDE } from "./compose.ts";
import { openMasters } from "./masters.node.ts";
import { STYLES } from "./styles.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kandinsky-masters-"));
  const set = join(folder, "icons", "node_modules", STYLES.noto.package);
  await mkdir(set, { recursive: true });
  await writeFile(join(set, "package.json"), JSON.stringify({ version: STYLES.noto.version }));
  await writeFile(join(set, "chars.json"), JSON.stringify({ "1f534": "disc", "1f7e5": "other-square" }));
  await writeFile(
    join(set, "icons.json"),
    JSON.stringify({
      width: 2,
      height: 2,
      icons: {
        disc: { body: '<circle cx="1" cy="1" r="1" fill="#f00" fill-opacity="0.5"/>' },
        square: { body: '<rect width="1" height="2" fill="#00f"/>' },
      },
      aliases: { "other-square": { parent: "square" } },
    }),
  );
});

afterEach(() => rm(folder, { recursive: true }));

test("openMasters draws icons and aliases once, with colours multiplied by opacity", async () => {
  const stages: unknown[] = [];
  const request = {
    folder,
    codes: ["1F534", "1F7E5"],
    styles: ["noto"],
    onStage: (stage: unknown) => stages.push(stage),
  } as const;
  const masters = await openMasters(request);
  const pixel = (name: string, x: number, y: number) =>
    [...masters.get(name)!.subarray(4 * (y * MASTER_SIDE + x), 4 * (y * MASTER_SIDE + x) + 4)] as number[];
  const [red, green, blue, opacity] = pixel("noto/1F534", 64, 64);
  expect(Math.abs(opacity! - 128)).toBeLessThanOrEqual(1);
  expect(Math.abs(red! - opacity!)).toBeLessThanOrEqual(1);
  expect([green, blue]).toEqual([0, 0]);
  expect(pixel("noto/1F534", 0, 0)).toEqual([0, 0, 0, 0]);
  expect(pixel("noto/1F7E5", 10, 100)).toEqual([0, 0, 255, 255]);
  expect(pixel("noto/1F7E5", 100, 100)).toEqual([0, 0, 0, 0]);

  await rm(join(folder, "icons"), { recursive: true });
  expect(await openMasters(request)).toEqual(masters);
  expect(stages).toEqual([{ draws: "noto" }]);
});

test("openMasters names the code that a style lacks, and leaves no file", async () => {
  const failure = await openMasters({ folder, codes: ["1F534", "1F600"], styles: ["noto"] }).catch(
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(KandinskyError);
  expect((failure as KandinskyError).message).toContain("noto: seen 1F600");
  expect(await readdir(folder)).toEqual(["icons"]);
});
