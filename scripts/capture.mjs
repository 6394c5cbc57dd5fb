// Renders terminal output as a picture: node capture.mjs COMMAND TYPESCRIPT PNG
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { chromium } = createRequire(new URL("../web/package.json", import.meta.url))("playwright-core");
const [command, typescript, picture] = process.argv.slice(2);
const LINES = 46; // longer output is cut

const escape = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);

/** HTML of a text with its ANSI colours. */
function render(text) {
  let open = false;
  return text.split(/\x1b\[([0-9;]*)m/).map((part, i) => {
    if (i % 2 === 0) return escape(part);
    const end = open ? "</span>" : "";
    open = part !== "0" && part !== "";
    return open ? `${end}<span class="${part.split(";").map((code) => `c${code}`).join(" ")}">` : end;
  }).join("") + (open ? "</span>" : "");
}

const lines = readFileSync(typescript, "utf8").replaceAll("\r", "").split("\n")
  .filter((line) => !/^Script (started|done) on /.test(line));
while (lines.length && lines.at(-1).trim() === "") lines.pop();
const shown = lines.slice(0, LINES);
if (shown.length < lines.length) shown.push("…");

const page = `<!doctype html><meta charset="utf-8"><style>
  body { margin: 0; background: #fff; }
  pre { display: inline-block; margin: 0; padding: 18px 22px; background: #14171c; color: #d7dce2; font: 13px/1.45 "DejaVu Sans Mono", monospace; white-space: pre; }
  .c2 { color: #7d8794; } .c1 { font-weight: bold; } .c91, .c31 { color: #ff7b72; } .c92, .c32 { color: #7ee787; } .c93, .c33 { color: #f2cc60; } .c94, .c34 { color: #79c0ff; }
</style><pre id="screen"><span class="c92">$</span> ${escape(command)}\n${render(shown.join("\n"))}</pre>`;

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
try {
  const tab = await browser.newPage({ viewport: { width: 1600, height: 900 } });
  await tab.setContent(page);
  await tab.locator("#screen").screenshot({ path: picture });
} finally {
  await browser.close();
}
