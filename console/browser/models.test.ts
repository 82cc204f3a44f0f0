import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from "vitest";
import type { Browser, Page } from "playwright-core";
import { barriers, expectNoSidewaysScroll, launch, open, url, type Opened } from "./page.ts";

const MODEL = "/apis/endcap.dev/v1alpha1/namespaces/default/recommendermodels/shop";
let browser: Browser;
let opened: Opened | undefined;

beforeAll(async () => {
  browser = await launch();
});
afterAll(() => browser.close());
afterEach(async () => {
  await opened?.page.context().close();
  opened = undefined;
});

/** Plays the operator: writes status as it would. */
async function patch(path: string, body: unknown): Promise<void> {
  const response = await fetch(url + path, {
    method: "PATCH",
    headers: { "content-type": "application/merge-patch+json", "x-endcap-console": "1" },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
}

interface Stored {
  spec: { promotedVersion?: string; rollout?: unknown; retraining?: { trigger?: string } };
}

async function stored(): Promise<Stored["spec"]> {
  const model = (await (await fetch(url + MODEL)).json()) as Stored;
  return model.spec;
}

async function start(before?: (page: Page) => Promise<void>): Promise<Page> {
  opened = await open(browser, "#/models/default/shop", {}, before);
  await opened.page.getByRole("heading", { level: 1, name: /shop/ }).waitFor();
  await opened.page.getByText("Live").waitFor();
  return opened.page;
}

describe.runIf(inject("development"))("with the objects of the development server", () => {
  test("status shows as it changes, without a reload", async () => {
    const page = await start();
    await page.evaluate("globalThis.sameDocument = true");
    await patch(`${MODEL}/status`, { status: { rollout: { step: "half", weight: 50, heldReason: "held by the test", gates: [{ name: "latency-p99", verdict: "Fail", value: "212", low: "190", high: "233", threshold: "150", samples: 5012 }] } } });
    await page.getByText("held by the test").waitFor();
    expect(await page.locator('.steps [aria-current="step"]').textContent()).toContain("50 %");
    expect(await page.getByTestId("gate").textContent()).toMatch(/latency-p99212190 to 2331505,?012Fail/);
    expect(await page.evaluate("globalThis.sameDocument")).toBe(true);
    await patch(`${MODEL}/status`, { status: { rollout: { step: "quarter", weight: 25, heldReason: null } } });
    await page.getByText("held by the test").waitFor({ state: "detached" });
    expect(opened?.complaints).toEqual([]);
  });

  test("a promotion says what will happen and the command; cancel changes nothing, confirm changes one field", async () => {
    const page = await start();
    const before = await stored();
    const row = page.getByRole("row", { name: /shop-v2/ });
    await row.getByRole("button", { name: "Promote…" }).click();
    const dialog = page.getByRole("dialog");
    expect(await dialog.textContent()).toContain("shop-v2 takes over from shop-v3 in steps: 1 %, 5 %, 25 %, 50 % (after approval), 100 % of the customers.");
    expect(await page.getByTestId("kubectl").textContent()).toMatch(/^kubectl patch recm shop -n default --type=merge -p '\{"spec":\{"promotedVersion":"shop-v2"/);
    await dialog.getByRole("button", { name: "Cancel" }).click();
    expect(await stored()).toEqual(before);
    await row.getByRole("button", { name: "Promote…" }).click();
    await dialog.getByRole("button", { name: "Promote shop-v2" }).click();
    await dialog.waitFor({ state: "detached" });
    expect((await stored()).promotedVersion).toBe("shop-v2");
    await patch(MODEL, { spec: { promotedVersion: "shop-v4", rollout: null } });
  });

  test("approve, hold, resume, abort and retrain write what they say", async () => {
    const page = await start();
    const act = async (opener: string, button: string) => {
      await page.getByRole("button", { name: opener }).click();
      await page.getByRole("dialog").getByRole("button", { name: button, exact: true }).click();
      await page.getByRole("dialog").waitFor({ state: "detached" });
    };
    await act("Approve 50 %…", "Approve");
    expect((await stored()).rollout).toEqual({ approvedStep: { version: "shop-v4", step: "half" } });
    await act("Hold…", "Hold");
    expect((await stored()).rollout).toMatchObject({ paused: true });
    await act("Resume…", "Resume");
    expect((await stored()).rollout).toMatchObject({ paused: false });
    await act("Abort shop-v4…", "Abort shop-v4");
    expect((await stored()).rollout).toMatchObject({ abortVersion: "shop-v4" });
    await act("Retrain…", "Train");
    expect((await stored()).retraining?.trigger).toMatch(/^console-\d{8}t\d{6}z$/);
    await patch(MODEL, { spec: { rollout: null } });
  });

  test("a refusal is shown in the dialog, in the server's words", async () => {
    const page = await start();
    await page.route(`**${MODEL}?**`, (route) =>
      route.request().method() === "PATCH"
        ? route.fulfill({ status: 403, json: { kind: "Status", code: 403, reason: "Forbidden", message: 'user "mira" may not promote default/shop' } })
        : route.continue(),
    );
    await page.getByRole("button", { name: "Retrain…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Train", exact: true }).click();
    await page.getByText('Refused: user "mira" may not promote default/shop').waitFor();
  });

  test("a watch that is too old (410) lists again, and a lost one comes back", async () => {
    let watches = 0;
    let lists = 0;
    const page = await start(async (fresh) => {
      await fresh.route(/\/recommendermodels(\?|$)/, (route) => {
        if (!route.request().url().includes("watch=true")) {
          lists++;
          return route.continue();
        }
        watches++;
        if (watches === 1) return route.fulfill({ body: '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n' });
        if (watches === 2) return route.abort();
        return route.continue();
      });
    });
    await expect.poll(() => watches, { timeout: 10_000 }).toBeGreaterThan(2);
    expect(lists).toBe(2);
    await patch(`${MODEL}/status`, { status: { rollout: { heldReason: "after the gap" } } });
    await page.getByText("after the gap").waitFor();
    await patch(`${MODEL}/status`, { status: { rollout: { heldReason: null } } });
  });

  test("a console that may only look has no button that acts", async () => {
    const page = await start(async (fresh) => {
      await fresh.route("**/console/config", async (route) => {
        const response = await route.fetch();
        return route.fulfill({ json: { ...((await response.json()) as object), acting: false } });
      });
    });
    await page.getByText("Read only").waitFor();
    expect(await page.getByRole("button", { name: /…$/ }).count()).toBe(0);
  });

  for (const colorScheme of ["light", "dark"] as const) {
    test(`no barriers in ${colorScheme}, and nothing runs out of a narrow window`, async () => {
      opened = await open(browser, "#/models", { colorScheme, viewport: { width: 768, height: 900 } });
      const { page } = opened;
      await page.locator(".chart").waitFor();
      expect(await barriers(page)).toEqual([]);
      await expectNoSidewaysScroll(page);
      await page.getByRole("button", { name: "Retrain…" }).click();
      expect(await barriers(page)).toEqual([]);
    });
  }
});

test("looking at models asks for no recommendations: each would count as an exposure", async () => {
  let asked = 0;
  opened = await open(browser, "#/models", {}, async (fresh) => {
    await fresh.route(/\/v1\/recommendations$/, (route) => {
      asked++;
      return route.continue();
    });
  });
  const { page } = opened;
  await page.getByText("Live").waitFor();
  await page.waitForTimeout(300);
  expect(asked).toBe(0);
  await page.getByRole("link", { name: "Order entry" }).click();
  await page.locator(".cards .card").first().waitFor();
  expect(asked).toBe(1);
});

test("the page shows the models that the server names", async () => {
  const config = (await (await fetch(`${url}/console/config`)).json()) as { models: { name: string }[] };
  opened = await open(browser, "#/models");
  await opened.page.getByRole("heading", { level: 1, name: new RegExp(config.models[0]?.name ?? "none") }).waitFor();
  await opened.page.getByRole("region", { name: "Versions" }).waitFor();
  await opened.page.getByText("Live").waitFor();
});
