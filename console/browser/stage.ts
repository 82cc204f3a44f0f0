/**
 * Gives the browser tests a console to look at. With CONSOLE_URL it is that one (`endcap up`). Without it, a small shop is
 * generated, trained and served by the real programs, and the development server is put before them.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    url: string;
    /** Whether the objects of dev/objects are there to be changed. */
    development: boolean;
  }
}

const run = promisify(execFile);
const START_MS = 60_000;

function programs(): string {
  const cache = process.env.ENDCAP_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "endcap");
  const folder = process.env.ENDCAP_PROGRAMS ?? join(cache, "target", "debug");
  if (!existsSync(join(folder, "endcap"))) {
    throw new Error(`failed to find endcap in ${folder}: run \`make build\`, set ENDCAP_PROGRAMS, or set CONSOLE_URL to a running console`);
  }
  return folder;
}

/** Starts a program and waits for the first match of its output. */
function started(child: ChildProcess, wanted: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = "";
    const timer = setTimeout(() => {
      reject(new Error(`failed to start within ${START_MS} ms: ${said}`));
    }, START_MS);
    const hear = (part: Buffer) => {
      said += part.toString();
      const found = wanted.exec(said)?.[1];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.on("exit", (code) => {
      clearTimeout(timer);
      reject(new Error(`failed to start: it ended with ${code ?? "a signal"}: ${said}`));
    });
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  await gone;
}

export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const given = process.env.CONSOLE_URL;
  if (given !== undefined && given !== "") {
    project.provide("url", given.replace(/\/$/, ""));
    project.provide("development", false);
    return undefined;
  }
  const here = fileURLToPath(new URL("..", import.meta.url));
  if (!existsSync(join(here, "dist", "index.html"))) throw new Error("failed to find dist/index.html: run `npm run build` first");
  const endcap = join(programs(), "endcap");
  const folder = await mkdtemp(join(tmpdir(), "endcap-console-"));
  const children: ChildProcess[] = [];
  const stop = async () => {
    for (const child of children.reverse()) await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    const data = join(folder, "data");
    await run(endcap, ["data", "generate", "--customers", "150", "--products", "120", "--days", "150", "--out", data]);
    await run(endcap, ["train", "--data", data, "--out", join(folder, "model", "v1")], { maxBuffer: 1 << 24 });
    const serve = spawn(endcap, ["serve", "--artifact", join(folder, "model", "v1"), "--listen", "127.0.0.1:0", "--state", join(folder, "state")]);
    children.push(serve);
    const router = await started(serve, /OMS\s+(http:\S+)/);
    const server = spawn("node", ["dev/server.mjs", "--listen", "127.0.0.1:0", "--router", router, "--data", data], { cwd: here });
    children.push(server);
    project.provide("url", await started(server, /"url":"([^"]+)"/));
    project.provide("development", true);
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}
