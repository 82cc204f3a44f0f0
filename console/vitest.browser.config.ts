import { defineConfig } from "vitest/config";

// Tests in a real Chromium; see docs/console.md. One page after the other: two cores, and the screenshots stay comparable.
export default defineConfig({
  test: { include: ["browser/**/*.test.ts"], fileParallelism: false, testTimeout: 30_000, hookTimeout: 60_000 },
});
