import { defineConfig } from "vitest/config";
import { BaseSequencer } from "vitest/node";

/** Whole programs first: the longest files are among them, and one that ran last would run alone. */
const FIRST = ["/dist/bench/", "/dist/apps/", "/dist/tools/", "/dist/src/runs/", "/dist/src/store/"];

class LongestFirst extends BaseSequencer {
  async sort(files) {
    const isFirst = ({ moduleId }) => FIRST.some((room) => moduleId.includes(room));
    const sorted = await super.sort(files);
    return [...sorted.filter(isFirst), ...sorted.filter((file) => !isFirst(file))];
  }
}

// The tests run on the compiled files: what is tested is what ships, and the engine's child
// process finds its script beside it.
export default defineConfig({
  test: {
    include: ["dist/**/*.test.js"],
    testTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
  },
});
