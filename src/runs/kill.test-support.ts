/** A whole small run in a process of its own, which `kill.test.ts` kills: it tells every event to its parent. */
import { runTraining } from "./mod.ts";
import { longerRun } from "./test-support.ts";

const [root, folder] = process.argv.slice(2) as [string, string];
for await (const event of runTraining(longerRun(root), { folder, resume: true, threads: 1 })) {
  process.send!(event);
}
process.disconnect();
