// node accessibility.js SITE [PAGE ...]: checks the pages of a built site; scripts/accessibility runs it.
// Serious faults, which make it fail: errors of HTML CodeSniffer (WCAG 2 AA), faults that axe calls serious or
// critical, and pages that scroll sideways. Others are listed with REPORT=all.

const fs = require("fs");
const path = require("path");
const { pathToFileURL } = require("url");
const pa11y = require("pa11y");
const puppeteer = require("puppeteer");

const VIEWS = [
  { name: "desktop, light", width: 1366, height: 768, theme: "light" },
  { name: "desktop, dark", width: 1366, height: 768, theme: "dark" },
  { name: "phone, light", width: 390, height: 844, theme: "light" },
];

/** Names of all pages, without those of the source code. */
function pagesOf(site) {
  return fs
    .readdirSync(site, { recursive: true })
    .filter((file) => file.endsWith(".html") && !file.startsWith("_"))
    .map((file) => file.slice(0, -".html".length))
    .sort();
}

/** Faults of a page in one view: [{ runner, type, code, message, selector }]. */
async function faultsOf(browser, site, name, view) {
  const page = await browser.newPage();
  const { width, height } = view;
  await page.emulateMediaFeatures([
    { name: "prefers-color-scheme", value: view.theme },
  ]);
  const { issues } = await pa11y(pathToFileURL(path.join(site, `${name}.html`)).href, {
    browser,
    page,
    viewport: { width, height },
    runners: ["htmlcs", "axe"],
    standard: "WCAG2AA",
    includeWarnings: true,
    levelCapWhenNeedsReview: "warning",
    timeout: 180000,
  });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  if (wide > width) {
    const message = `${wide} pixels wide in a window of ${width}`;
    issues.push({ runner: "width", type: "error", code: "sideways", message });
  }
  await page.close();
  return issues;
}

/** Prints faults, those of one code together with the first element that has it. */
function print(faults) {
  for (const code of new Set(faults.map((each) => each.code))) {
    const same = faults.filter((each) => each.code === code);
    const { type, runner, message, selector = "", context = "" } = same[0];
    console.log(`  ${type} ${runner} ${code}, ${same.length} x: ${message}`);
    console.log(`    ${selector} ${context}`);
  }
}

async function main([site, ...named]) {
  const browser = await puppeteer.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--allow-file-access-from-files"],
  });
  let serious = 0;
  for (const name of named.length ? named : pagesOf(site)) {
    for (const view of VIEWS) {
      const faults = await faultsOf(browser, site, name, view);
      const errors = faults.filter((each) => each.type === "error");
      serious += errors.length;
      const of = (runner) => errors.filter((each) => each.runner === runner).length;
      console.log(`${name} (${view.name}): htmlcs ${of("htmlcs")}, axe ${of("axe")}`);
      print(process.env.REPORT === "all" ? faults : errors);
    }
  }
  await browser.close();
  console.log(`Serious faults: ${serious}`);
  process.exitCode = serious ? 1 : 0;
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 2;
});
