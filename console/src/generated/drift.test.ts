import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { generate } from "../../scripts/types.mjs";

test("the types are those of docs/openapi.json and crds/*.yaml: run `npm run generate`", { timeout: 30_000 }, async () => {
  for (const [name, text] of Object.entries(await generate())) {
    expect(await readFile(new URL(name, import.meta.url), "utf8"), name).toBe(text);
  }
});
