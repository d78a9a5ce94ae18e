// look.js CHROMIUM PAGE.html FOLDER: opens a page as readers do, prints as JSON what was seen, and leaves pictures of
// it in the folder. It judges nothing: tests/it/browser.rs does.
"use strict";

const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { chromium } = require("playwright-core");
const axe = require("axe-core");

const [executablePath, file, folder] = process.argv.slice(2);
const address = pathToFileURL(path.resolve(file)).href;

const DESKTOP = { width: 1280, height: 800 };
// What the documents show of it.
const DETAIL = { width: 960, height: 780 };
const PHONE = { width: 390, height: 844 };
const VIEWS = [
  { name: "light", viewport: DESKTOP, colorScheme: "light" },
  { name: "dark", viewport: DESKTOP, colorScheme: "dark" },
  { name: "phone-light", viewport: PHONE, colorScheme: "light" },
  { name: "phone-dark", viewport: PHONE, colorScheme: "dark" },
  { name: "print", viewport: { width: 718, height: 1000 }, colorScheme: "light", media: "print" },
];

// A machine that runs all tests at a time is slow.
const TIMEOUT = 120_000;

// The user's data lie in a folder that playwright makes, and removes.
const ARGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

async function look(browser, view) {
  const context = await browser.newContext({ viewport: view.viewport, colorScheme: view.colorScheme });
  context.setDefaultTimeout(TIMEOUT);
  const page = await context.newPage();
  const said = [];
  const requests = [];
  page.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => said.push(`error: ${error.message}`));
  page.on("request", (request) => request.url() === address || requests.push(request.url()));
  if (view.media) await page.emulateMedia({ media: view.media });
  await page.goto(address, { waitUntil: "networkidle" });
  const picture = (name, fullPage) => page.screenshot({ path: path.join(folder, `${name}.png`), fullPage });
  await picture(view.name, true);
  if (view.viewport === DESKTOP) {
    await page.setViewportSize(DETAIL);
    await picture(`${view.name}-top`, false);
    await page.evaluate(() => document.getElementById("course")?.scrollIntoView());
    await picture(`${view.name}-course`, false);
    await page.setViewportSize(DESKTOP);
  }
  // What is folded is read, too; paper shows nothing of it.
  if (!view.media) await page.evaluate(() => document.querySelectorAll("details").forEach((one) => (one.open = true)));
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  await page.evaluate(axe.source);
  const found = await page.evaluate(() => axe.run({ resultTypes: ["violations"] }));
  const violations = found.violations.map(({ id, help, nodes }) => ({
    id,
    help,
    nodes: nodes.slice(0, 5).map((node) => `${node.html.slice(0, 200)}: ${node.failureSummary}`),
  }));
  if (view.media) await page.pdf({ path: path.join(folder, `${view.name}.pdf`), format: "A4", printBackground: true });
  await context.close();
  return {
    view: view.name,
    viewport: view.viewport.width,
    width,
    said,
    requests,
    violations,
    passed: found.passes.length,
  };
}

(async () => {
  const browser = await chromium.launch({ executablePath, args: ARGS, timeout: TIMEOUT });
  const seen = [];
  for (const view of VIEWS) seen.push(await look(browser, view));
  await browser.close();
  console.log(JSON.stringify(seen));
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
