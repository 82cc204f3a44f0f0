import js from "@eslint/js";
import reactHooks from "eslint-plugin-react-hooks";
import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist", "src/generated/*.ts"] },
  js.configs.recommended,
  {
    files: ["**/*.ts", "**/*.tsx"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true }],
      "max-lines": ["error", 500],
    },
  },
  { files: ["src/**/*.tsx", "src/**/*.ts"], ...reactHooks.configs.flat["recommended-latest"] },
  {
    files: ["**/*.mjs"],
    languageOptions: { globals: Object.fromEntries(["console", "process", "URL", "Buffer", "setInterval", "clearInterval", "setTimeout", "fetch"].map((name) => [name, "readonly"])) },
    rules: { "no-unused-vars": ["error", { varsIgnorePattern: "^_" }] },
  },
);
