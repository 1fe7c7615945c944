import { KandinskyError } from "../../src/base/mod.ts";
import { lastLine } from "./report.ts";
import { runParity } from "./run.ts";

const [folder, ...rest] = process.argv.slice(2);
if (folder === undefined || rest.length > 0) {
  console.error(
    "usage: npm run parity -- FOLDER   (a folder laid out like golden/, or a model with seeded/)",
  );
  process.exitCode = 2;
} else {
  try {
    const summary = await runParity(folder, console.log);
    for (const name of new Set(summary.failures)) console.log(`failed: ${name}`);
    console.log(lastLine(summary));
    process.exitCode = summary.failures.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof KandinskyError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}
