import { execFile, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkDocs } from "./check-docs.ts";
import { checkLength } from "./check-length.ts";
import { checkRooms } from "./check-rooms.ts";

/** What `npm test` runs: every check counts as one, and every test of vitest. */

interface Count {
  readonly passed: number;
  readonly failed: number;
}

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const OWN = "golden";
/** The golden data, and another folder laid out like it where `.ci/run` found one. */
const GOLDEN = [OWN, process.env["KANDINSKY_PARITY"]].filter((folder) => folder !== undefined);

/** The last line of the program. */
const SUMMARY = /^compared (\d+), not yet (\d+), of (\d+) tensors; worst ([\d.]+) of tolerance at .+$/;
const MOST_FEW = 200;

/** Both programs colour even what goes to a file where they find `CI` set. */
const COLORS = process.stdout.isTTY ? "force" : "off";

const counts = [
  program("format and lint", ["node_modules/@biomejs/biome/bin/biome", "ci", `--colors=${COLORS}`, "."]),
  check("import directions", checkRooms),
  check("documents", checkDocs),
  check("length of files", checkLength),
  tests(),
  ...(await Promise.all(GOLDEN.map(parity))),
];
const passed = counts.reduce((sum, count) => sum + count.passed, 0);
const failed = counts.reduce((sum, count) => sum + count.failed, 0);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;

function check(name: string, run: (root: string) => string[]): Count {
  const problems = run(ROOT);
  for (const problem of problems) console.log(`  ${problem}`);
  return tell(name, problems.length === 0);
}

function program(name: string, args: readonly string[]): Count {
  return tell(name, runNode(args) === 0);
}

/** Hundreds of lines, one for each tensor: all of them where something differs, else only the last. */
async function parity(folder: string): Promise<Count> {
  console.log(`... parity with ${folder}`);
  const args = ["dist/tools/parity/main.js", folder];
  const [failure, output] = await new Promise<[Error | null, string]>((done) => {
    execFile(process.execPath, args, { cwd: ROOT, maxBuffer: 2 ** 28 }, (error, stdout, stderr) =>
      done([error, stdout + stderr]),
    );
  });
  const last = output.trimEnd().split("\n").at(-1)!;
  const isGood = failure === null && (folder !== OWN || isWhole(last));
  console.log(isGood ? last : output);
  return tell(`parity with ${folder}`, isGood);
}

/** Whether many tensors were compared, none left for later, and something differed at all: the comparison is no sham. */
function isWhole(summary: string): boolean {
  const [compared = 0, notYet, all, worst = 0] = SUMMARY.exec(summary)?.slice(1).map(Number) ?? [];
  return compared > MOST_FEW && notYet === 0 && compared === all && worst > 0 && worst <= 1;
}

function tests(): Count {
  const folder = mkdtempSync(join(tmpdir(), "kandinsky-test-"));
  const report = join(folder, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  try {
    const status = runNode(["node_modules/vitest/vitest.mjs", "run", ...reporters]);
    const { numPassedTests, numFailedTests } = readReport(report);
    // A file that cannot be loaded and an error outside of every test fail the run but no test.
    const unseen = status !== 0 && numFailedTests === 0 ? 1 : 0;
    return { passed: numPassedTests, failed: numFailedTests + unseen };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function readReport(file: string): { numPassedTests: number; numFailedTests: number } {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    console.log(`  vitest left no report: ${error}`);
    return { numPassedTests: 0, numFailedTests: 1 };
  }
}

function tell(name: string, isGood: boolean): Count {
  console.log(`${isGood ? "ok  " : "FAIL"} ${name}`);
  return isGood ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

function runNode(args: readonly string[]): number {
  const env = COLORS === "off" ? { ...process.env, NO_COLOR: "1" } : process.env;
  return spawnSync(process.execPath, [...args], { cwd: ROOT, env, stdio: ["ignore", 1, 2] }).status ?? 1;
}
