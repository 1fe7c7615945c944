import { KandinskyError } from "../../src/base/mod.ts";
import { formatRatio } from "./report.ts";
import { runParity } from "./run.ts";

const [folder, ...rest] = process.argv.slice(2);
if (folder === undefined || rest.length > 0) {
  console.error(
    "usage: npm run parity -- FOLDER   (a folder laid out like golden/, or a model with seeded/)",
  );
  process.exitCode = 2;
} else {
  try {
    const { compared, notYet, failures, worst } = await runParity(folder, console.log);
    const total = compared + notYet;
    for (const name of new Set(failures)) console.log(`failed: ${name}`);
    const at =
      worst === undefined
        ? "0 of tolerance at nothing"
        : `${formatRatio(worst.ratio)} of tolerance at ${worst.name}`;
    console.log(`compared ${compared}, not yet ${notYet}, of ${total} tensors; worst ${at}`);
    process.exitCode = failures.length === 0 ? 0 : 1;
  } catch (error) {
    if (!(error instanceof KandinskyError)) throw error;
    console.error(error.message);
    process.exitCode = 2;
  }
}
