// A dry run of limits in a real browser against the whole system: over a customer's day, at the width of a desk and of a phone.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { System, UNPUBLISHED, browser, until, visit } from "./harness.mjs";

const DESK = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true };
const DAY = 99_991;

describe("limits", { timeout: 300_000 }, () => {
  let system;
  let chromium;
  let pages = [];

  before(async () => {
    [system, chromium] = await Promise.all([System.start({ customers: 100, interval: "5s", flags: ["--episodes", "none"] }), browser()]);
    system.sendDay(DAY);
    await until("the day to be stored", async () => (await system.get(`customers/CUST_${DAY}/readings?limit=20000&from=${new Date(Date.now() - 86_400_000).toISOString()}`)).readings.length > 17_000, 60_000);
  });
  after(async () => {
    await chromium?.close();
    await system?.stop();
  });
  afterEach(async () => {
    const faults = pages.flatMap((page) => page.faults);
    await Promise.all(pages.map((page) => page.context().close()));
    pages = [];
    assert.deepEqual(faults, [], "the browser complains");
  });

  async function open(options) {
    const page = await visit(chromium, system.url, { hash: "#/limits", ...options });
    pages.push(page);
    await page.locator("#link >> text=Live").waitFor();
    return page;
  }
  const axe = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
  async function fits(page, where) {
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(wide <= 0, `${where} is ${wide} px too wide`);
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
    assert.deepEqual(violations.map((v) => `${where}: ${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join(" | ")}`), []);
    await page.screenshot({ path: join(UNPUBLISHED, `limits-${where}.png`), fullPage: true });
  }

  for (const [where, options] of [["desk", DESK], ["phone", PHONE]]) {
    test(`limits are tried with the keyboard, and every screen shows the result, ${where}`, async () => {
      const page = await open(options);
      const other = await open(DESK);
      const panel = page.getByRole("region", { name: "Try limits", exact: true });
      await panel.locator('[name="scope"]').selectOption("person");
      await panel.locator('[name="who"]').fill(String(DAY));
      await panel.locator('[name="high"]').fill("150");
      await panel.getByRole("button", { name: "Add another limit" }).focus();
      await page.keyboard.press("Enter");
      await panel.getByRole("listitem").filter({ hasText: `CUST_${DAY}: high 150` }).waitFor();
      await panel.locator('[name="scope"]').selectOption("cohort");
      await panel.locator('[name="who"]').fill("athletes");
      await panel.locator('[name="low"]').fill("35");
      await page.keyboard.press("Enter");
      for (const shown of [panel, other.getByRole("region", { name: "Try limits", exact: true })]) {
        await shown.getByText(`Tried: CUST_${DAY}: high 150; cohort athletes: low 35 (local)`).waitFor();
        await shown.getByText("The alarms of one customer change").waitFor();
        const line = shown.getByRole("region", { name: "Customers whose alarms change" }).locator("tbody tr");
        assert.equal(await line.count(), 1);
        assert.match(await line.innerText(), /CUST_99991\s+\d+ → \d+/);
        const [now, proposed] = await shown.getByRole("region", { name: "Alarms a day" }).locator("tbody tr").allInnerTexts();
        assert.ok(Number(proposed.split(/\s+/)[1]) > Number(now.split(/\s+/)[1]), `a lower limit gives more alarms: ${now}; ${proposed}`);
        assert.equal(await shown.locator(".error", { hasText: /./ }).count(), 0, "the dry run differs from what is stored");
      }
      await fits(page, where);
    });
  }

  test("a limit that cannot be is refused, and a time without readings is named", async () => {
    const page = await open(DESK);
    page.tolerated = (text) => /status of 400/.test(text);
    const panel = page.getByRole("region", { name: "Try limits", exact: true });
    await panel.getByRole("button", { name: "Try limits" }).click();
    await panel.getByRole("alert").filter({ hasText: "a limit sets low, high or both" }).waitFor();
    const answer = await fetch(`${system.url}/api/v1/limits/trial`, {
      method: "POST", headers: { "content-type": "application/json" },
      body: JSON.stringify({ limits: [{ scope: "fleet", high: 150 }], from: "2026-02-20T00:00:00Z", to: "2026-02-20T10:00:00Z" }),
    });
    assert.equal(answer.status, 200);
    await page.reload();
    await panel.getByText(/Kafka has no stored reading from .* to .*: none was stored, or its topic is gone\./).waitFor();
  });

  test("a dry run under way shows how far it is and can be cancelled", async () => {
    const page = await open(DESK);
    let state = "running";
    const trial = () => ({
      trial_id: 7, by: "anna", limits: [{ scope: "fleet", high: 150 }], from: new Date().toISOString(), to: new Date().toISOString(), state,
      started_at: new Date().toISOString(), read: 3000, records: 12_000, changed: 0,
    });
    await page.route("**/api/v1/limits/trial", (route) => route.fulfill({ json: { trial: trial() } }));
    await page.route("**/api/v1/limits/trial/7/cancel", (route) => {
      state = "cancelled";
      return route.fulfill({ json: trial() });
    });
    await page.reload();
    const panel = page.getByRole("region", { name: "Try limits", exact: true });
    await panel.getByText("Trying everybody: high 150 (anna)").waitFor();
    await panel.getByText("3,000 of 12,000 readings").waitFor();
    assert.equal(await panel.getByRole("progressbar").getAttribute("value"), "3000");
    assert.ok(await panel.getByRole("button", { name: "Try limits" }).isDisabled(), "a second one is offered");
    await fits(page, "running");
    await panel.getByRole("button", { name: "Cancel" }).focus();
    await page.keyboard.press("Enter");
    await panel.getByText("Cancelled: everybody: high 150 (anna)").waitFor();
    assert.ok(await panel.getByRole("button", { name: "Try limits" }).isEnabled(), "no other one is offered");
  });
});
