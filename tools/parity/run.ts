import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { KandinskyError } from "../../src/base/mod.ts";
import { passesFor } from "../../src/pipelines/mod.ts";
import { type Context, modelOpener, openWorkshop } from "./context.ts";
import { type Fixture, openFixture } from "./fixture.ts";
import { listData, type Manifest, readManifest } from "./folder.ts";
import { KINDS, pipelineOwner, SUPPORT } from "./kinds.ts";
import { PIPELINES_INDEX } from "./pipelines.ts";
import { makeReport, type Report, reasonOf, type Summary } from "./report.ts";

/** Runs everything found in a folder laid out like the golden data. */
export async function runParity(path: string, print: (line: string) => void): Promise<Summary> {
  const folder = resolve(path);
  if (!existsSync(folder)) {
    throw new KandinskyError("file_missing", { what: "there is no such folder", where: path });
  }
  const report = makeReport(print);
  const manifest = await readManifest(folder);
  const files = await listData(folder);
  const fixtures = await openFixtures(folder, files, manifest, report);
  await reportUnknown(folder, files, manifest, report);
  await using workshop = await openWorkshop();
  const passes = await passesFor(workshop.engine);
  const context: Context = {
    folder,
    manifest,
    report,
    fixture: (file) => fixtures.get(file),
    workshop,
    passes,
    model: modelOpener(folder, workshop, passes),
  };
  const found = KINDS.filter(({ file }) => files.includes(file));
  if (found.length === 0) report.fail(path, "no cases: wanted a folder laid out like the golden data");
  for (const { name, run } of found) {
    try {
      await run(context);
    } catch (error) {
      report.fail(name, reasonOf(error));
    }
  }
  for (const fixture of fixtures.values()) {
    for (const [name, count] of fixture.leftRows()) {
      report.fail(`${fixture.file} ${name}`, `expected, but nothing looked at it (${count} tensors)`);
    }
  }
  const all = [...fixtures.values()];
  const listed = all.reduce((sum, { expected }) => sum + expected, 0);
  const missed = all.reduce((sum, fixture) => sum + fixture.left().length, 0);
  print(
    `manifest.json lists ${listed} expected tensors here: ${listed - missed} accounted for, ${missed} not`,
  );
  return report.summary();
}

async function openFixtures(
  folder: string,
  files: readonly string[],
  manifest: Manifest,
  report: Report,
): Promise<Map<string, Fixture>> {
  const fixtures = new Map<string, Fixture>();
  for (const row of manifest.fixtures) {
    if (!files.includes(row.file)) report.note(`absent: ${row.file}`);
    else {
      try {
        fixtures.set(row.file, await openFixture(folder, row, manifest, report));
      } catch (error) {
        report.fail(row.file, reasonOf(error));
      }
    }
  }
  return fixtures;
}

/** A file that no kind knows is a case that nobody would look at. */
async function reportUnknown(
  folder: string,
  files: readonly string[],
  manifest: Manifest,
  report: Report,
): Promise<void> {
  const inPipelines = files.includes(PIPELINES_INDEX) ? await pipelineOwner(folder) : () => false;
  for (const file of files) {
    const owned = [...KINDS.map(({ owns }) => owns), ...SUPPORT].some((owns) => owns.test(file));
    if (!owned && !inPipelines(file)) report.fail(file, "an unknown case");
    const holdsCases = KINDS.some((kind) => kind.file === file && file.endsWith(".safetensors"));
    const listed = manifest.fixtures.some((row) => row.file === file);
    if (holdsCases && !listed) report.fail(file, "not listed in manifest.json");
  }
}
