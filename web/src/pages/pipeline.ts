import type { Context } from "../context";
import type { PipelineStatus, Incident, Partition, Table } from "../api";
import { get } from "../api";
import { bytes, count, duration, rate } from "../format";
import { h, replace } from "../element";
import { levelBadge } from "../header";
import { poll } from "../poll";
import { deliveries } from "./pipeline/deliveries";
import { grid } from "./pipeline/grid";
import { deadLetters } from "./pipeline/letters";

/** The state of the pipeline: what is wrong and what to do, partitions, messages to people, dead letters, tables. */
export function pipelinePage(root: HTMLElement, context: Context): void {
  const { feed, clock, signal } = context;
  const health = h("div", { class: "components" });
  const partitions = h("section", { class: "panel", "aria-label": "Partitions" });
  const tables = h("section", { class: "panel", "aria-label": "Table partitions" });
  const incidents = h("section", { class: "panel", "aria-label": "Data incidents" });
  const show = (): void => {
    const status = feed.status;
    if (!status) return;
    replace(health, ...status.health.map((c) => h("article", { class: `component component-${c.level}` },
      h("h3", {}, levelBadge(c.level, c.name.charAt(0).toUpperCase() + c.name.slice(1))),
      h("p", {}, c.detail),
      c.action && h("p", { class: "action" }, h("b", {}, "What to do: "), c.action),
      h("p", { class: "muted" }, `for ${duration(feed.now - Date.parse(c.since))}`))));
    showPartitions(partitions, status, context);
  };
  feed.on("status", show, signal);
  clock.onChange(show, signal);
  replace(root, h("h1", { class: "visually-hidden" }, "Pipeline"), health, partitions, deliveries(context), deadLetters(context), incidents, tables);
  if (!feed.status) replace(health, h("p", { class: "empty" }, "Waiting for the server…"));
  show();
  poll(() => 15_000,
    async (stop) => [(await get<{ tables: Table[] }>("tables", stop)).tables, (await get<{ incidents: Incident[] }>("incidents", stop)).incidents] as const,
    ([found, losses]) => {
      showTables(tables, found, context);
      showIncidents(incidents, losses, context);
    },
    (cause) => replace(tables, h("h2", {}, "Table partitions"), h("p", { class: "error" }, cause instanceof Error ? cause.message : String(cause))),
    signal);
}

function showPartitions(section: HTMLElement, status: PipelineStatus, { feed }: Context): void {
  const total = (value: (p: Partition) => number): string => count(status.partitions.reduce((sum, p) => sum + value(p), 0));
  const rows = status.partitions.map((p) => [
    p.current ? p.log : `${p.log} (replaced)`, p.owner || "no consumer", progress(p, feed.now), String(p.partition),
    count(p.next_offset), count(p.end_offset), count(p.lag), rate(p.rate),
    count(p.stored), count(p.anomalies), count(p.dead_lettered), count(p.skipped), count(p.lost), unaccounted(p.unaccounted),
  ]);
  if (rows.length > 1) {
    rows.push(["All", "", "", "", "", "", count(status.lag), rate(status.stored_per_second), total((p) => p.stored), total((p) => p.anomalies),
      total((p) => p.dead_lettered), total((p) => p.skipped), total((p) => p.lost), unaccounted(status.unaccounted)]);
  }
  // Someone may be in the middle of scrolling or selecting: the section stays, and its table is replaced.
  const table = grid("Partitions", ["Log", "Owner", "Progress", "Partition", "Next offset", "End offset", "Lag", "Offsets/s",
    "Records", "Anomalies", "Dead letters", "Skipped", "Lost", "Unaccounted"], rows, 3);
  const left = section.querySelector(".scroll-x")?.scrollLeft ?? 0;
  if (getSelection()?.type === "Range" && section.contains(getSelection()!.anchorNode)) return;
  replace(section, h("h2", {}, "Partitions"), rows.length > 0 ? table : h("p", { class: "empty" }, "No partition was ever claimed: start `heartbeat consume`."));
  table.scrollLeft = left;
}

/** When the partition was last stored, or since when it is stalled. */
function progress(p: Partition, now: number): string | Node {
  if (p.stalled_since) return h("span", { title: p.reason }, levelBadge("down", `stalled for ${duration(now - Date.parse(p.stalled_since))}`));
  return p.updated_at ? `${duration(now - Date.parse(p.updated_at))} ago` : "never";
}

function unaccounted(n: number): string | Node {
  return n === 0 ? "0" : levelBadge("down", count(n));
}

function showTables(section: HTMLElement, tables: readonly Table[], { clock }: Context): void {
  const size = tables.reduce((sum, t) => sum + t.bytes, 0);
  const rows = tables.map((t) => [t.table, t.partition, t.from ? clock.date(t.from) : "–", t.to ? clock.date(t.to) : "–", count(t.rows_estimate), bytes(t.bytes)]);
  replace(section, h("h2", {}, "Table partitions"), h("p", { class: "muted" }, `${count(tables.length)} partitions, ${bytes(size)}. Rows are PostgreSQL's estimate.`),
    h("div", { class: "scroll-y" }, grid("Table partitions", ["Table", "Partition", "From", "To", "Rows", "Size"], rows, 4)));
}

function showIncidents(section: HTMLElement, incidents: readonly Incident[], { clock }: Context): void {
  const rows = incidents.map((i) => [clock.date(i.recorded_at), i.kind.replaceAll("_", " "), i.detail, `${i.log}/${i.partition}`, `${count(i.from_offset)}–${count(i.to_offset)}`]);
  section.hidden = rows.length === 0;
  replace(section, h("h2", {}, "Data incidents"), h("p", { class: "muted" }, "Losses outside Heartbeat's control."),
    grid("Data incidents", ["Recorded", "Kind", "Detail", "Partition", "Offsets"], rows, 4));
}
