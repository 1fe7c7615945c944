import { defineConfig } from "vitest/config";

// The tests run on the compiled files: what is tested is what ships, and the engine's child
// process finds its script beside it.
export default defineConfig({
  test: { include: ["dist/**/*.test.js"], testTimeout: 60_000, pool: "forks", maxWorkers: 2 },
});
