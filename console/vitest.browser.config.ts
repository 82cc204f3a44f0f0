import { defineConfig } from "vitest/config";

// Tests in a real Chromium; see docs/console.md. One file after the other: they share one server and its objects.
export default defineConfig({
  test: {
    include: ["browser/**/*.test.ts"],
    globalSetup: ["browser/stage.ts"],
    fileParallelism: false,
    testTimeout: 30_000,
    hookTimeout: 120_000,
  },
});
