// Takes the pictures of docs/images from a running console: node scripts/screenshots.mjs URL [FOLDER]
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, folder = "../docs/images"] = process.argv.slice(2);
if (!url) throw new Error("failed to find the console: name its address, such as http://127.0.0.1:8090");
const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
const browser = await chromium.launch({ executablePath, args: process.getuid() === 0 ? ["--no-sandbox"] : [] });

async function open(hash, options) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 860 }, colorScheme: "light", ...options });
  await page.goto(`${url}/${hash}`);
  return page;
}

async function add(page, words) {
  await page.keyboard.press("/");
  await page.keyboard.type(words);
  await page.keyboard.press("Enter");
  await page.getByText(" added").waitFor();
  await page.waitForTimeout(400);
}

async function orderEntry(name, options) {
  const page = await open("#/order", options);
  await page.locator(".cards .card").first().waitFor();
  await page.keyboard.press("c");
  await page.keyboard.type(process.env.CUSTOMER ?? "11178");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Change" }).waitFor();
  for (const words of (process.env.PRODUCTS ?? "wrapping paper navy little owl,paper cup orange,pen orange lace").split(",")) await add(page, words);
  for (let press = 0; press < 5; press++) await page.keyboard.press("+");
  await page.waitForTimeout(600);
  await page.screenshot({ path: join(folder, name) });
}

async function models(name, options) {
  const page = await open("#/models", options);
  await page.locator(".chart").waitFor();
  const { height } = await page.locator("main:visible").boundingBox();
  await page.screenshot({ path: join(folder, name), fullPage: true, clip: { x: 0, y: 0, width: page.viewportSize().width, height: Math.min(height, 1352) } });
  return page;
}

await orderEntry("console-order-entry.png");
await models("console-models.png");
if (process.env.ALL) {
  await orderEntry("order-dark.png", { colorScheme: "dark" });
  await orderEntry("order-768.png", { viewport: { width: 768, height: 1000 } });
  await models("models-768.png", { colorScheme: "dark", viewport: { width: 768, height: 1000 } });
  const page = await models("models-dark.png", { colorScheme: "dark" });
  await page.getByRole("row", { name: /-v2/ }).getByRole("button").click();
  await page.screenshot({ path: join(folder, "dialog-dark.png") });
}
await browser.close();
