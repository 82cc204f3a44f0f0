import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Browser, Page, Request } from "playwright-core";
import type { WireEvent } from "../src/lib/events.ts";
import type { Answer } from "../src/lib/router.ts";
import { barriers, expectNoSidewaysScroll, launch, open, url, type Opened } from "./page.ts";

interface Found {
  products: { id: string; name: string; unit_price: string; stock: number | null }[];
}

let browser: Browser;
let insights: string;
let products: Found["products"];
let opened: Opened | undefined;

beforeAll(async () => {
  browser = await launch();
  const config = (await (await fetch(`${url}/console/config`)).json()) as { models: { insights: string }[] };
  insights = url + (config.models[0]?.insights ?? "");
  const answer = (await (await fetch(`${insights}/v1/products?query=&limit=100`)).json()) as Found;
  products = answer.products.filter((product) => (product.stock ?? 0) > 0);
  expect(products.length).toBeGreaterThan(5);
});
afterAll(() => browser.close());
afterEach(async () => {
  await opened?.page.context().close();
  opened = undefined;
});

async function start(hash = "#/order", before?: (page: Page) => Promise<void>, width = 1280): Promise<Page> {
  opened = await open(browser, hash, { viewport: { width, height: 900 } }, before);
  await opened.page.locator(".cards .card").first().waitFor();
  return opened.page;
}

const isQuestion = (request: Request) => request.url().endsWith("/v1/recommendations");
const isEvents = (request: Request) => request.url().endsWith("/v1/events");
const eventsOf = (request: Request) => request.postDataJSON() as WireEvent[];
const names = (page: Page) => page.locator(".cards .name").allTextContents();

async function addByKeyboard(page: Page, product: { id: string }): Promise<Answer> {
  const answered = page.waitForResponse((response) => isQuestion(response.request()) && response.request().postData()?.includes(product.id) === true);
  await page.keyboard.press("/");
  await page.keyboard.type(product.id);
  await page.getByRole("option", { name: product.id }).first().waitFor();
  await page.keyboard.press("Enter");
  const answer = (await (await answered).json()) as Answer;
  await page.keyboard.press("Escape");
  return answer;
}

function product(index: number) {
  const found = products[index];
  if (!found) throw new Error("the shop is too small");
  return found;
}

test("an order is typed without a mouse, its total is exact, and the recommendations follow every line", async () => {
  const page = await start();
  const before = await page.getByTestId("answer-time").textContent();
  const pen = product(0);
  const answer = await addByKeyboard(page, pen);
  for (let press = 0; press < 5; press++) await page.keyboard.press("+");
  await page.getByLabel(`Quantity of ${pen.name}`).evaluate((field) => (field as unknown as { value: string }).value).then((value) => {
    expect(value).toBe("6");
  });
  const cents = 6n * BigInt(pen.unit_price.replace(".", ""));
  const text = cents.toString().padStart(3, "0");
  expect(await page.getByTestId("order-total").textContent()).toContain(`${text.slice(0, -2)}.${text.slice(-2)}`);
  expect(before).toMatch(/^\d+(\.\d)? ms$/);
  expect(await page.getByTestId("answer-version").textContent()).toBe(answer.version);
  await page.keyboard.press("-");
  expect(await page.getByLabel(`Quantity of ${pen.name}`).inputValue()).toBe("5");
  expect(opened?.complaints).toEqual([]);
});

test("who types faster than the search answers loses nothing, and the lines come in the typed order", async () => {
  const page = await start();
  await page.keyboard.press("/");
  for (const wanted of [product(3), product(1), product(4)]) {
    await page.keyboard.type(wanted.id);
    await page.keyboard.press("Enter");
  }
  await expect.poll(() => page.locator(".lines tbody .id").allTextContents()).toEqual([product(3), product(1), product(4)].map((wanted) => wanted.id));
});

test("Alt+1 accepts the first: it is in the order, and the log has it with the answer's request id", async () => {
  const page = await start();
  const answer = await addByKeyboard(page, product(1));
  await expect.poll(() => names(page)).toEqual(answer.items.map((item) => item.name));
  const sent = page.waitForRequest((request) => isEvents(request) && eventsOf(request).some((event) => event.type === "recommendation_accepted"));
  await page.keyboard.press("Alt+1");
  const request = await sent;
  const first = answer.items[0];
  const accepted = eventsOf(request).find((event) => event.type === "recommendation_accepted");
  expect(accepted).toMatchObject({ product_id: first?.product_id, request_id: answer.request_id, placement: "order_entry" });
  expect(eventsOf(request).some((event) => event.type === "add_to_cart" && event.product_id === first?.product_id)).toBe(true);
  expect(request.headers()["x-endcap-console"]).toBe("1");
  expect(await (await request.response())?.json()).toMatchObject({ rejected: 0 });
  await page.getByLabel(`Quantity of ${first?.name ?? ""}`).waitFor();
});

test("a declined item goes at once, is in the log, and stays away", async () => {
  const page = await start();
  const answer = await addByKeyboard(page, product(2));
  await expect.poll(() => names(page)).toEqual(answer.items.map((item) => item.name));
  const second = answer.items[1]?.name ?? "";
  const asked = page.waitForResponse((response) => isQuestion(response.request()));
  const sent = page.waitForResponse((response) => isEvents(response.request()));
  await page.keyboard.press("Alt+Shift+2");
  expect(await names(page)).not.toContain(second);
  expect(await (await sent).json()).toMatchObject({ accepted: 1, rejected: 0 });
  await asked;
  expect(await names(page)).not.toContain(second);
});

test("an answer that comes late never replaces a newer one", async () => {
  const page = await start();
  let release: () => void = () => undefined;
  const held = new Promise<void>((resolve) => (release = resolve));
  let holding = true;
  // Cancelling a request on the wire would hide the mistake, so the page is made to ignore it.
  await page.evaluate("AbortController.prototype.abort = () => {}");
  await page.route(/\/v1\/recommendations$/, async (route) => {
    if (!holding) return route.continue();
    holding = false;
    const response = await route.fetch();
    await held;
    return route.fulfill({ response });
  });
  await page.keyboard.press("/");
  await page.keyboard.type(product(3).id);
  await page.getByRole("option", { name: product(3).id }).first().waitFor();
  await page.keyboard.press("Enter");
  await expect.poll(() => holding).toBe(false);
  const newer = await addByKeyboard(page, product(4));
  await expect.poll(() => names(page)).toEqual(newer.items.map((item) => item.name));
  const late = page.waitForResponse((response) => isQuestion(response.request()));
  release();
  await late;
  await page.waitForTimeout(150);
  expect(await names(page)).toEqual(newer.items.map((item) => item.name));
});

test("while the log is away events wait, and are sent again with the same ids", async () => {
  const page = await start();
  const tries: string[][] = [];
  await page.route(/\/v1\/events$/, async (route) => {
    tries.push((route.request().postDataJSON() as WireEvent[]).map((event) => event.event_id));
    if (tries.length > 1) return route.continue();
    return route.fulfill({ status: 503, contentType: "application/problem+json", body: '{"title": "busy", "status": 503, "detail": "the log is busy"}' });
  });
  await addByKeyboard(page, product(5));
  await page.getByText("wait for the log: the log is busy").waitFor();
  await page.getByText("wait for the log").waitFor({ state: "detached" });
  expect(tries.length).toBe(2);
  expect(tries[1]).toEqual(tries[0]);
});

test("an answer over the promise is amber, and a degraded one says so", async () => {
  const page = await start();
  await page.route(/\/v1\/recommendations$/, async (route) => {
    const response = await route.fetch();
    const answer = (await response.json()) as Answer;
    await new Promise((resolve) => setTimeout(resolve, 250));
    return route.fulfill({ response, json: { ...answer, degraded: { from: "pack", why: "no_ready_endpoint" } } });
  });
  expect(await page.getByTestId("answer-time").getAttribute("class")).toContain("good");
  await addByKeyboard(page, product(0));
  await page.getByText("degraded: from pack, no ready endpoint").waitFor();
  expect(await page.getByTestId("answer-time").getAttribute("class")).toContain("warn");
});

test("placing the order writes one purchase and starts anew", async () => {
  const page = await start();
  await addByKeyboard(page, product(0));
  await addByKeyboard(page, product(1));
  const sent = page.waitForResponse((response) => isEvents(response.request()) && eventsOf(response.request()).some((event) => event.type === "purchase"));
  await page.getByRole("button", { name: "Place order" }).click();
  const response = await sent;
  const purchase = eventsOf(response.request()).find((event) => event.type === "purchase");
  expect(purchase?.lines?.map((line) => line.product_id)).toEqual([product(0).id, product(1).id]);
  expect(await response.json()).toMatchObject({ rejected: 0 });
  await page.getByText("No lines yet").waitFor();
});

test("a customer's own usual orders come when the customer is picked", async () => {
  const customers = (await (await fetch(`${insights}/v1/customers?query=&limit=20`)).json()) as { customers: { id: string; orders: number }[] };
  const known = customers.customers.find((customer) => customer.orders > 5);
  const page = await start();
  await page.keyboard.press("c");
  await page.keyboard.type(known?.id ?? "");
  await page.getByRole("option", { name: known?.id ?? "" }).first().waitFor();
  await page.keyboard.press("Enter");
  await page.locator(".kind.reorder").first().waitFor();
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`no barriers in ${colorScheme}, and nothing runs out of a narrow window`, async () => {
    opened = await open(browser, "#/order", { colorScheme, viewport: { width: 768, height: 900 } });
    const { page } = opened;
    await page.locator(".cards .card").first().waitFor();
    await addByKeyboard(page, product(0));
    await page.locator(".cards .name").first().click();
    expect(await barriers(page)).toEqual([]);
    await expectNoSidewaysScroll(page);
  });
}
