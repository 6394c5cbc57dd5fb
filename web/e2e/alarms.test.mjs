// Alarms in a real browser against the whole system: what a nurse sees and does, and what others see of it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { closeAll, raise, sql } from "./alarms.mjs";
import { System, browser, until, visit } from "./harness.mjs";

const LIVE = "#link >> text=Live";
const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true };

/** Names two cells that cover each other, for each row. It runs in the page. */
const overlaps = (lines) => lines.map((line) => {
  const cells = [...line.children].filter((cell) => cell.textContent.trim() !== "").map((cell) => [cell.textContent, cell.getBoundingClientRect()]);
  for (const [i, [one, a]] of cells.entries()) {
    for (const [other, b] of cells.slice(i + 1)) {
      if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) return `"${one}" covers "${other}"`;
    }
  }
  return "";
});

describe("alarms", { timeout: 600_000 }, () => {
  let system;
  let chromium;
  let pages = [];

  before(async () => {
    // Without detection the alarms are those of the tests.
    [system, chromium] = await Promise.all([System.start({ customers: 10_000, interval: "5m", flags: ["--no-detection"] }), browser()]);
  });
  after(async () => {
    await chromium?.close();
    await system?.stop();
  });
  beforeEach(() => closeAll(system));
  afterEach(async () => {
    const faults = pages.flatMap((page) => page.faults);
    await Promise.all(pages.map((page) => page.context().close()));
    pages = [];
    assert.deepEqual(faults, [], "the browser complains");
  });

  async function open(options = {}) {
    const page = await visit(chromium, system.url, options);
    pages.push(page);
    await page.locator(LIVE).waitFor();
    return page;
  }
  const axe = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
  async function accessible(page, where) {
    await page.evaluate(axe);
    const { violations } = await page.evaluate(() => globalThis.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
    assert.deepEqual(violations.map((v) => `${where}: ${v.id}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join(" | ")}`), []);
  }
  const row = (page, customer) => page.locator(".alarm-row:not([hidden])", { hasText: customer });
  const headline = (page, text) => page.locator("#headline", { hasText: text }).waitFor();

  test("an alarm is on every screen within a second, and so is its acknowledgement with the mouse", async () => {
    const [first, second] = [await open(), await open()];
    await headline(first, "No open alarm");
    const raised = Date.now();
    raise(system, { from: 42, value: 201, ago: "20 seconds" });
    await Promise.all([first, second].map((page) => row(page, "CUST_00042").waitFor()));
    const shown = Date.now() - raised;
    await headline(second, "1 needs attention");
    assert.match(await row(first, "CUST_00042").innerText(), /Rate high[\s\S]*HIGH[\s\S]*201[\s\S]*over 180[\s\S]*since \d\d:\d\d:\d\d[\s\S]*Not acknowledged/);
    const pressed = Date.now();
    await row(first, "CUST_00042").locator('[data-command="ack"]').click();
    await row(second, "CUST_00042").getByText("Acknowledged by local").waitFor();
    const seen = Date.now() - pressed;
    await headline(second, "All alarms are acknowledged");
    console.log(`# raise to two screens ${shown} ms, acknowledgement to the other screen ${seen} ms`);
    assert.ok(seen < 5000 && shown < 5000, `took ${shown} and ${seen} ms`);
    assert.equal(sql(system, "SELECT acknowledged_by FROM alarms WHERE closed_at IS NULL"), "local");
  });

  test("the keyboard acknowledges, snoozes, notes and assigns in two steps each", async () => {
    raise(system, { from: 1, to: 4 });
    const page = await open();
    await headline(page, "4 need attention");
    await page.locator(".alarm-panel .virtual-scroll").first().focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("a"); // the oldest comes first: CUST_00004
    await row(page, "CUST_00004").getByText("Acknowledged by local").waitFor();
    await page.keyboard.press("Home"); // the acknowledged one has gone behind the others
    await page.keyboard.press("s");
    await page.keyboard.press("Enter");
    await row(page, "CUST_00003").getByText("Snoozed by local").waitFor();
    await page.keyboard.press("n");
    await page.keyboard.type("Called, feels well");
    await page.keyboard.press("Enter");
    await row(page, "CUST_00003").getByText("Called, feels well").waitFor();
    await page.keyboard.press("t");
    await page.keyboard.press("Control+a");
    await page.keyboard.type("anna");
    await page.keyboard.press("Enter");
    await row(page, "CUST_00003").getByText("→ anna").waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "grid");
    assert.equal(sql(system, "SELECT string_agg(kind, ' ' ORDER BY recorded_at) FROM alarm_events WHERE actor IS NOT NULL AND alarm_id IN (SELECT alarm_id FROM alarms WHERE closed_at IS NULL)"),
      "acknowledged snoozed commented assigned");
    await page.keyboard.press("Enter");
    await page.waitForURL(/alarms\/[0-9a-f-]{36}/);
  });

  test("several at once, and those that ended unseen stand apart", async () => {
    raise(system, { from: 1, to: 3 });
    raise(system, { from: 9, ended: true });
    const page = await open();
    await headline(page, "4 need attention");
    await page.locator(".ended", { hasText: "Ended, unseen: 1" }).waitFor();
    assert.match(await row(page, "CUST_00009").innerText(), /Ended .* ago, unseen/);
    await page.locator(".alarm-panel .virtual-scroll").first().focus();
    await page.keyboard.press("Control+a");
    await page.locator(".selection", { hasText: "3 selected" }).waitFor();
    await page.keyboard.press("a");
    await page.locator(".done", { hasText: "3 alarms: acknowledged." }).waitFor();
    await row(page, "CUST_00009").locator('[data-command="ack"]').click();
    await page.locator(".ended").waitFor({ state: "hidden" });
    await headline(page, "All alarms are acknowledged");
  });

  test("who was second hears who was first", async () => {
    raise(system, { from: 7 });
    const page = await open();
    page.tolerated = (text) => /status of 409/.test(text);
    await row(page, "CUST_00007").waitFor();
    await page.route("**/api/v1/alarms/*/ack", async (route) => {
      sql(system, `
WITH acknowledged AS (
  UPDATE alarms SET version = version + 1, acknowledged_by = 'anna', acknowledged_at = now(), seen_at = now() WHERE closed_at IS NULL AND subject = 'CUST_00007' RETURNING *)
INSERT INTO alarm_events (event_id, alarm_id, version, kind, at, actor) SELECT gen_random_uuid(), alarm_id, version, 'acknowledged', now(), 'anna' FROM acknowledged`);
      await route.continue();
    });
    await row(page, "CUST_00007").locator('[data-command="ack"]').click();
    await page.locator("#refused", { hasText: /CUST_00007, rate high: anna was first: acknowledged at \d\d:\d\d:\d\d/ }).waitFor();
    await row(page, "CUST_00007").getByText("Acknowledged by anna").waitFor();
  });

  test("with 0, 5, 500 and 10,000 open alarms the page stays responsive and accessible", async () => {
    const page = await open();
    await headline(page, "No open alarm");
    await accessible(page, "no alarm");
    await page.goto(`${system.url}/#/alarms?state=open`);
    await page.getByText("No alarm matches.").waitFor();
    await accessible(page, "an empty list of alarms");
    await page.goto(`${system.url}/#/fleet`);
    for (const [from, to, text] of [[1, 5, "5 need attention"], [6, 500, "500 need attention"], [501, 10_000, "10,000 need attention"]]) {
      raise(system, { from, to, condition: "bad_signal", priority: "low", value: 35, limit: 20 });
      await headline(page, text);
      assert.ok((await page.locator(".alarm-row").count()) < 100, "rows exist that are not in view");
      await accessible(page, text);
      const took = await page.evaluate(async () => {
        const scroller = document.querySelector(".alarm-panel .virtual-scroll");
        scroller.focus();
        const times = [];
        for (const key of ["End", "Home", "PageDown", "ArrowDown", "End", "Home", "PageDown"]) {
          const began = performance.now();
          scroller.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
          await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
          times.push(Math.round(performance.now() - began));
        }
        return times;
      });
      console.log(`# keys with ${text.split(" ")[0]} alarms take ${took} ms to the next frame`);
      assert.ok(Math.min(...took) < 400, `with ${text}, keys take ${took} ms`); // the fastest: the machine may be busy
    }
    raise(system, { from: 5555 });
    await headline(page, "10,001 need attention");
    await page.keyboard.press("Home");
    assert.match(await page.locator(".alarm-row").first().innerText(), /CUST_05555/);
    const pressed = Date.now();
    await page.keyboard.press("a");
    await page.locator(".done", { hasText: "CUST_05555, rate high: acknowledged." }).waitFor();
    assert.ok(Date.now() - pressed < 5000, `acknowledging took ${Date.now() - pressed} ms`);
    assert.equal(await page.locator('[data-group="low"] .chip-count').innerText(), "9,999");
  });

  test("the keyboard alone comes to the list from the beginning of the page, and acknowledges with two keys", async () => {
    raise(system, { from: 21 });
    const page = await open();
    await row(page, "CUST_00021").waitFor();
    for (const key of ["Tab", "Enter"]) await page.keyboard.press(key); // skip to content
    const role = () => page.evaluate(() => document.activeElement?.getAttribute("role"));
    for (let i = 0; i < 8 && (await role()) !== "grid"; i++) await page.keyboard.press("Tab");
    assert.equal(await role(), "grid", "eight tabs do not come to the list");
    for (const key of ["ArrowDown", "a"]) await page.keyboard.press(key);
    await row(page, "CUST_00021").getByText("Acknowledged by local").waitFor();
  });

  test("the list of alarms is filtered and taken away, and one alarm shows its history", async () => {
    raise(system, { from: 101, to: 103 });
    raise(system, { from: 104, condition: "bad_signal", priority: "low", value: 35, limit: 20 });
    const page = await open({ hash: "#/alarms" });
    const rows = page.locator(".virtual-scroll .virtual-row:not([hidden])");
    await page.locator('select[name="state"]').selectOption("active");
    await page.locator("[role=status]", { hasText: "4 listed" }).waitFor();
    await page.locator('select[name="condition"]').selectOption("bad_signal");
    await page.locator("[role=status]", { hasText: "1 listed" }).waitFor();
    assert.match(await rows.first().innerText(), /Bad signal[\s\S]*CUST_00104/);
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("Download CSV").click()]);
    const lines = readFileSync(await download.path(), "utf8").trim().split("\r\n");
    assert.equal(lines.length, 2);
    assert.match(lines[1], /,CUST_00104,bad_signal,low,active,/);
    await page.locator('select[name="condition"]').selectOption("");
    await page.locator('input[name="customer"]').fill("102");
    await page.locator('input[name="customer"]').press("Tab");
    await page.locator("[role=status]", { hasText: "1 listed" }).waitFor();
    await rows.first().locator("a").first().click();
    await page.locator("#history", { hasText: "Raised" }).waitFor();
    await page.getByRole("button", { name: "Acknowledge" }).click();
    await page.locator("#history", { hasText: /Acknowledged[\s\S]*local/ }).waitFor();
  });

  test("a customer's page shows alarms and limits, and changes the customer's own", async () => {
    raise(system, { from: 205, ago: "2 minutes" });
    const page = await open({ hash: "#/customer/CUST_00205" });
    page.tolerated = (text) => /status of 400/.test(text);
    await page.locator(".customer-alarms li", { hasText: /Rate high[\s\S]*HIGH[\s\S]*192 over 180[\s\S]*Not acknowledged/ }).waitFor();
    const limits = page.locator(".limits");
    await limits.getByText("In force now: low 40 bpm (default), high 180 bpm (default).").waitFor();
    await limits.getByRole("button", { name: "Suggest limits" }).click();
    await limits.getByText("all day: too little is known, 0 of 7 days have enough readings.").waitFor();
    await limits.locator('[name="high"]').fill("195");
    await limits.locator('[name="reason"]').fill("Endurance athlete");
    await limits.getByRole("button", { name: "Set limits" }).click();
    await limits.locator("tbody tr", { hasText: /CUST_00205[\s\S]*195[\s\S]*local[\s\S]*Endurance athlete/ }).waitFor();
    await limits.getByRole("button", { name: "End" }).click();
    await page.locator("dialog[open] [name=reason]").fill("Back to the default");
    await page.keyboard.press("Enter");
    await limits.locator(".done", { hasText: "Ended." }).waitFor();
  });

  /** Stops the page's clock, the first time, and lets it jump: a test need not wait for what comes every ten seconds, and a slow machine is not early. */
  const later = (page, ms) => page.evaluate((by) => {
    globalThis.stopped = (globalThis.stopped ?? Date.now()) + by;
    Date.now = () => globalThis.stopped;
  }, ms);
  /** Waits until the page has looked at its alarms again, which it does each second. */
  const ticks = async (page, n = 2) => {
    for (let i = 0; i < n; i++) {
      const before = await page.locator(".clock").innerText();
      await page.waitForFunction((text) => document.querySelector(".clock").textContent !== text, before);
    }
  };

  test("sound is off until it is chosen, then HIGH repeats until it is acknowledged", async () => {
    raise(system, { from: 301 });
    const page = await open();
    await row(page, "CUST_00301").waitFor();
    await page.evaluate(() => {
      globalThis.tones = 0;
      const start = OscillatorNode.prototype.start;
      OscillatorNode.prototype.start = function (at) {
        globalThis.tones++;
        start.call(this, at);
      };
    });
    const tones = () => page.evaluate(() => globalThis.tones);
    await later(page, 10_000);
    await ticks(page);
    assert.equal(await tones(), 0, "it sounds without being chosen");
    await page.locator("#signal").click();
    await page.getByLabel(/^Sound: HIGH/).check();
    await page.getByRole("button", { name: "Done" }).click();
    await page.waitForFunction(() => globalThis.tones >= 1 + 5);
    await ticks(page);
    assert.equal(await tones(), 1 + 5, "it sounds again before ten seconds have passed");
    await later(page, 10_000);
    await page.waitForFunction(() => globalThis.tones >= 1 + 5 + 5);
    await row(page, "CUST_00301").locator('[data-command="ack"]').click();
    await headline(page, "All alarms are acknowledged");
    const quiet = await tones();
    await later(page, 10_000);
    await ticks(page);
    assert.equal(await tones(), quiet, "it sounds after the acknowledgement");
  });

  test("a notification comes only where it is chosen, one for all that come together, without values", async () => {
    const page = await open({ permissions: ["notifications"] });
    await page.evaluate(() => {
      globalThis.notices = [];
      globalThis.Notification = class {
        static permission = "granted";
        static requestPermission = async () => "granted";
        constructor(title, options) {
          globalThis.notices.push(`${title}: ${options.body}`);
        }
      };
    });
    raise(system, { from: 311 });
    await row(page, "CUST_00311").waitFor();
    await ticks(page);
    assert.deepEqual(await page.evaluate(() => globalThis.notices), [], "it notifies without being chosen");
    await page.locator("#signal").click();
    await page.getByLabel(/^Notification of each/).check();
    await page.keyboard.press("Escape");
    raise(system, { from: 312, to: 330, value: 231 });
    await page.waitForFunction(() => globalThis.notices.length > 0);
    await ticks(page);
    assert.deepEqual(await page.evaluate(() => globalThis.notices), ["HIGH: Rate high: CUST_00330 and 18 more"]);
  });

  test("every action is two steps away at every width", async () => {
    raise(system, { from: 61, to: 62 });
    raise(system, { from: 69, ended: true });
    const page = await open();
    for (const [width, height] of [[1920, 1080], [1500, 900], [1440, 900], [1280, 800], [1000, 800], [820, 1180], [390, 844], [360, 740]]) {
      await page.setViewportSize({ width, height });
      for (const [customer, commands] of [["CUST_00061", ["ack", "snooze", "comment", "assign"]], ["CUST_00069", ["ack", "comment", "assign"]]]) {
        const line = row(page, customer);
        const box = await line.boundingBox();
        for (const command of commands) {
          const button = await line.locator(`[data-command="${command}"]`).boundingBox();
          assert.ok(button && button.x >= box.x && button.x + button.width <= Math.min(box.x + box.width, width) && button.y >= box.y && button.y + button.height <= box.y + box.height,
            `${command} of ${customer} is cut off or missing at ${width}: ${JSON.stringify([button, box])}`);
        }
        assert.deepEqual(await line.evaluateAll(overlaps), [""], `${customer} at ${width}`);
      }
      await row(page, "CUST_00061").locator('[data-command="comment"]').click();
      await page.keyboard.type(`At ${width}`);
      await page.keyboard.press("Enter");
      await page.locator(".done", { hasText: "CUST_00061, rate high: noted." }).waitFor();
      await page.locator(".note", { hasText: `At ${width}` }).waitFor({ state: "attached" });
    }
  });

  test("messages to people are listed, and one that was given up is sent again", async () => {
    sql(system, `INSERT INTO notification_destinations (name) VALUES ('log') ON CONFLICT DO NOTHING;
      INSERT INTO deliveries (delivery_id, destination, type, priority, alarm_ids, raises, body, created_at, next_attempt_at, state, ended_at, attempts, code, error)
      VALUES ('00000000-0000-0000-0000-0000000000ff', 'log', 'raised', 'high', '{}', 1, '{}', now(), now(), 'dead', now(), 7, 503, 'the receiver answered 503')`);
    const page = await open({ hash: "#/pipeline" });
    const section = page.getByRole("region", { name: "Notifications" });
    await section.getByRole("button", { name: "dead", exact: true }).click();
    const dead = section.locator("tr", { hasText: "the receiver answered 503" });
    await dead.waitFor();
    await accessible(page, "messages");
    await dead.getByRole("button", { name: /^Retry the message to log/ }).click();
    await section.getByText("1 sent again.").waitFor();
    await until("the notifier to send it", () => sql(system, "SELECT state FROM deliveries WHERE delivery_id = '00000000-0000-0000-0000-0000000000ff'") === "sent");
  });

  test("a viewer is offered no action, and the server refuses one", async () => {
    raise(system, { from: 71 });
    await system.serve({ HEARTBEAT_TOKEN: "viewer's token" });
    try {
      const page = await visit(chromium, system.serveURL);
      pages.push(page);
      await page.locator("#token").fill("viewer's token");
      await page.keyboard.press("Enter");
      await row(page, "CUST_00071").waitFor();
      await page.getByText("may look but not act: that needs the role operator.").waitFor();
      assert.equal(await page.locator("[data-command]").count(), 0, "it offers an action");
      await page.locator(".alarm-panel .virtual-scroll").first().focus();
      for (const key of ["Home", "a", " ", "s", "n", "t", "c"]) await page.keyboard.press(key);
      assert.equal(await page.locator("dialog[open]").count(), 0, "a key asks for an action");
      const id = sql(system, "SELECT alarm_id FROM alarms WHERE closed_at IS NULL");
      await page.goto(`${system.serveURL}/#/alarms/${id}`);
      await page.locator("#history", { hasText: "Raised" }).waitFor();
      assert.equal(await page.getByRole("button", { name: "Acknowledge" }).isVisible(), false);
      for (const hash of ["#/limits", "#/customer/CUST_00071"]) {
        await page.goto(`${system.serveURL}/${hash}`);
        await page.getByText("Changing limits needs the role operator").waitFor();
        assert.equal(await page.locator(".limit-form").count(), 0, `${hash} offers a form`);
      }
      for (const [path, body] of [[`alarms/${id}/ack`, {}], ["alarms/ack", { alarms: [{ alarm_id: id }] }], ["limits", { scope: "person", customer_id: "CUST_00071", high: 190, reason: "x" }]]) {
        const answer = await fetch(`${system.serveURL}/api/v1/${path}`, { method: "POST", body: JSON.stringify(body), headers: { authorization: "Bearer viewer's token", "content-type": "application/json" } });
        assert.equal(answer.status, 403, path);
        assert.match(JSON.stringify(await answer.json()), /operator/, path);
      }
      assert.equal(sql(system, "SELECT count(*) FROM alarm_events JOIN alarms USING (alarm_id) WHERE closed_at IS NULL AND actor IS NOT NULL"), "0", "something was changed");
    } finally {
      for (const page of pages) page.tolerated = (text) => /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/.test(text); // its server goes
      await system.kill("serve");
    }
  });

  test("an administrator sees and changes the limits of cohorts and of everybody", async () => {
    await system.serve({ HEARTBEAT_TOKEN: "admin's token", HEARTBEAT_TOKEN_ROLE: "admin" });
    try {
      const page = await visit(chromium, system.serveURL, { hash: "#/limits" });
      pages.push(page);
      page.tolerated = (text) => /status of 4\d\d/.test(text);
      await page.locator("#token").fill("admin's token");
      await page.keyboard.press("Enter");
      const form = page.locator(".limit-form");
      await form.locator('[name="scope"]').selectOption("cohort");
      await form.locator('[name="who"]').fill("athletes");
      await form.locator('[name="low"]').fill("35");
      await form.locator('[name="from"]').fill("22:00");
      await form.locator('[name="reason"]').fill("Sleeping athletes");
      await form.getByRole("button", { name: "Set limits" }).click();
      await page.locator(".limit-list .error", { hasText: /hours/ }).waitFor();
      await form.locator('[name="to"]').fill("06:00");
      await form.getByRole("button", { name: "Set limits" }).click();
      const line = page.locator(".limit-list tbody tr", { hasText: /cohort athletes[\s\S]*35[\s\S]*22:00-06:00[\s\S]*Sleeping athletes/ });
      await line.waitFor();
      await form.locator('[name="scope"]').selectOption("fleet");
      await form.locator('[name="high"]').fill("175");
      await form.locator('[name="reason"]').fill("Heat wave");
      await form.getByRole("button", { name: "Set limits" }).click();
      await page.locator(".limit-list tbody tr", { hasText: /everybody[\s\S]*175[\s\S]*Heat wave/ }).waitFor();
      await page.goto(`${system.serveURL}/#/customer/CUST_00081`);
      await page.locator(".limits tbody tr", { hasText: /everybody[\s\S]*175/ }).waitFor();
      await page.goto(`${system.serveURL}/#/limits`);
      for (const reason of ["Heat wave", "Sleeping athletes"]) {
        const ends = page.locator(".limit-list tbody tr", { hasText: reason });
        await ends.getByRole("button", { name: "End" }).click();
        await page.locator("dialog[open] [name=reason]").fill("No longer needed");
        await page.keyboard.press("Enter");
        await ends.waitFor({ state: "detached" });
      }
      await page.getByLabel("Also those that ended").check();
      await page.locator(".limit-list tbody tr", { hasText: /everybody[\s\S]*Heat wave \(ended by .*: No longer needed\)/ }).waitFor();
    } finally {
      for (const page of pages) page.tolerated = (text) => /ERR_CONNECTION|ERR_INCOMPLETE|ERR_EMPTY/.test(text); // its server goes
      await system.kill("serve");
    }
  });

  for (const [mode, options] of [["light", {}], ["dark", { colorScheme: "dark" }], ["phone", PHONE]]) {
    test(`the pages are accessible and fit, ${mode}`, async () => {
      for (const [from, more] of [[42, {}], [43, { condition: "rate_low", value: 34, limit: 40 }], [44, { ended: true }], [45, { condition: "bad_signal", priority: "low", value: 35, limit: 20 }]]) raise(system, { from, ...more });
      const id = sql(system, "SELECT alarm_id FROM alarms WHERE subject = 'CUST_00042' AND closed_at IS NULL");
      const page = await open(options);
      for (const hash of ["#/fleet", "#/alarms", `#/alarms/${id}`, "#/customer/CUST_00042", "#/limits"]) {
        await page.goto(`${system.url}/${hash}`);
        await page.locator(LIVE).waitFor();
        await page.getByText(hash === "#/limits" ? "No limit is set" : "CUST_00042").first().waitFor();
        assert.deepEqual((await page.locator(".virtual-scroll .virtual-row:not([hidden])").evaluateAll(overlaps)).filter(Boolean), [], `${hash}, ${mode}`);
        await page.waitForTimeout(1000);
        const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(wide <= 0, `${hash} is ${wide} px too wide`);
        await accessible(page, hash);
      }
    });
  }
});
