import type { Feed } from "./feed";
import type { Clock } from "./format";
import type { Level } from "./api";
import { alarmSignal } from "./alarms/signal";
import { duration } from "./format";
import { href, parseRoute } from "./router";
import { h, replace, setText } from "./element";

const PAGES = [
  ["fleet", "Fleet"],
  ["alarms", "Alarms"],
  ["customer", "Customer"],
  ["anomalies", "Anomalies"],
  ["trends", "Trends"],
  ["pipeline", "Pipeline"],
] as const;

export const LEVEL_TEXT: Readonly<Record<Level, string>> = { ok: "OK", warn: "Warning", down: "Down" };
const LEVEL_MARK: Readonly<Record<Level, string>> = { ok: "●", warn: "▲", down: "■" };

/** A level as shape, colour and text. */
export function levelBadge(level: Level, text: string): HTMLElement {
  return h("span", { class: `badge badge-${level}` }, h("span", { class: "badge-mark", "aria-hidden": "true" }, LEVEL_MARK[level]), text);
}

/** Fills the header: where to go, whether what is shown is live, and what time it is. */
export function header(root: HTMLElement, feed: Feed, clock: Clock, signal: AbortSignal): void {
  const links = PAGES.map(([page, title]) => h("a", { href: href(page) }, title));
  const link = h("span", { id: "link", class: "link" });
  const pipeline = h("a", { href: href("pipeline"), class: "pipeline-state", id: "pipeline-state" });
  const time = h("time", { class: "clock" });
  const zone = h("button", { type: "button", class: "quiet", id: "zone", onclick: () => clock.toggle() });
  replace(
    root,
    h("a", { class: "brand", href: href("fleet"), "aria-label": "Heartbeat" }, h("img", { src: "icon.svg", alt: "", width: 20, height: 20 }), h("span", { class: "brand-name" }, "Heartbeat")),
    h("nav", { "aria-label": "Pages" }, ...links),
    h("div", { class: "status" }, pipeline, link, time, alarmSignal(feed, signal), zone),
  );
  const mark = (): void => {
    const page = parseRoute(location.hash).page;
    PAGES.forEach(([name], i) => {
      if (name === (page === "limits" ? "alarms" : page)) links[i]!.setAttribute("aria-current", "page");
      else links[i]!.removeAttribute("aria-current");
    });
  };
  const tick = (): void => {
    setText(time, clock.time(feed.now));
    const zoneText = clock.utc ? "UTC" : "Local";
    if (zone.firstChild?.textContent !== zoneText) replace(zone, zoneText, !clock.utc && h("span", { class: "wide-only" }, "\u00a0time"));
    zone.setAttribute("aria-pressed", String(clock.utc));
    zone.title = clock.utc ? "Times in UTC; switch to the zone of this machine" : `Times in ${clock.zoneName}; switch to UTC`;
    showLink(link, feed);
    showPipeline(pipeline, feed);
  };
  addEventListener("hashchange", mark, { signal });
  clock.onChange(tick, signal);
  feed.on("link", tick, signal);
  feed.on("status", () => showPipeline(pipeline, feed), signal);
  mark();
  tick();
}

function showLink(link: HTMLElement, feed: Feed): void {
  const [level, text]: [Level, string] = feed.frame === undefined && feed.link === "connecting" ? ["warn", "Connecting"]
    : feed.stale ? ["down", "Stale"] : ["ok", "Live"];
  if (link.dataset["text"] === text) return;
  link.dataset["text"] = text;
  replace(link, levelBadge(level, text));
}

function showPipeline(link: HTMLElement, feed: Feed): void {
  const health = feed.status?.health ?? [];
  const worst: Level = health.some((c) => c.level === "down") ? "down" : health.some((c) => c.level === "warn") ? "warn" : "ok";
  const text = health.length === 0 ? "Pipeline unknown" : worst === "ok" ? "Pipeline OK"
    : "Pipeline: " + health.filter((c) => c.level === worst).map((c) => c.name).join(", ");
  if (link.dataset["text"] === text) return;
  link.dataset["text"] = text;
  link.dataset["level"] = health.length === 0 ? "warn" : worst;
  replace(link, levelBadge(health.length === 0 ? "warn" : worst, text));
}

/** Says across the page when what it shows is not the present. */
export function notice(root: HTMLElement, feed: Feed, clock: Clock, signal: AbortSignal): void {
  const show = (): void => {
    const down = feed.status?.health.find((c) => c.name === "live view" && c.level === "down");
    let text = "";
    if (feed.frame && feed.stale) {
      const age = Math.round((Date.now() - feed.received) / 5000) * 5;
      text = `Stale: no contact with the server${age >= 5 ? ` for ${duration(age * 1000)}` : ""}. ` +
        `Everything here is as of ${clock.time(feed.received + feed.offset)}. Reconnecting by itself.`;
    } else if (!feed.frame && feed.link === "lost") {
      text = `${feed.linkDetail} Trying again by itself.`;
    } else if (down) {
      text = `${down.detail} ${down.action}`;
    }
    root.classList.toggle("shown", text !== "");
    setText(root, text);
    document.documentElement.classList.toggle("is-stale", feed.frame !== undefined && feed.stale);
  };
  feed.on("link", show, signal);
  feed.on("frame", show, signal);
}
