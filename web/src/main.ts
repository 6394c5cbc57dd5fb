import type { Page } from "./context";
import type { Me, Session } from "./api";
import { get, remove } from "./api";
import { Feed } from "./feed";
import { Clock } from "./format";
import { h, replace } from "./element";
import { header, notice } from "./header";
import { parseRoute } from "./router";
import { fleetPage } from "./pages/fleet";
import { trendsPage } from "./pages/trends";
import { alarmsPage } from "./pages/alarms";
import { limitsPage } from "./pages/limits";
import { anomaliesPage } from "./pages/anomalies";
import { customerPage } from "./pages/customer";
import { pipelinePage } from "./pages/pipeline";
import { signIn } from "./pages/signin";

const PAGES: Readonly<Record<string, readonly [title: string, page: Page]>> = {
  fleet: ["Fleet", fleetPage],
  alarms: ["Alarms", alarmsPage],
  limits: ["Limits", limitsPage],
  anomalies: ["Anomalies", anomaliesPage],
  trends: ["Trends", trendsPage],
  customer: ["Customer", customerPage],
  pipeline: ["Pipeline", pipelinePage],
};

const byId = (id: string): HTMLElement => document.getElementById(id)!;

async function start(): Promise<void> {
  const session = await get<Session>("session").catch(() => undefined);
  footer(session);
  if (session && !session.signed_in) {
    signIn(byId("page"), session);
    return;
  }
  const feed = new Feed();
  const clock = new Clock();
  const forever = new AbortController().signal;
  header(byId("header"), feed, clock, forever);
  notice(byId("notice"), feed, clock, forever);
  feed.on("link", () => feed.link === "unauthorized" && location.reload(), forever);
  document.querySelector(".skip")!.addEventListener("click", (event) => {
    event.preventDefault(); // the fragment names pages
    byId("page").focus();
  });
  feed.start();
  const me = await whoLooks();
  footer(session, me);
  route(feed, clock, me);
}

/** Who looks. Somebody of whom the server does not know the role may look only. */
async function whoLooks(): Promise<Me> {
  return get<Me>("me").catch(() => ({ name: "", role: "viewer" }) as const);
}

/** Shows the page that the address names, and again when it names another one. */
function route(feed: Feed, clock: Clock, me: Me): void {
  let shown = new AbortController();
  const show = (): void => {
    shown.abort();
    shown = new AbortController();
    const here = parseRoute(location.hash);
    const [title, page] = PAGES[here.page] ?? ["Not found", missing];
    document.title = `${here.page === "customer" && here.subject ? here.subject : title} · Heartbeat`;
    const root = byId("page");
    root.className = `page page-${here.page}`;
    root.replaceChildren();
    page(root, { feed, clock, me, route: here, signal: shown.signal });
    window.scrollTo(0, 0);
  };
  addEventListener("hashchange", () => {
    show();
    byId("page").focus({ preventScroll: true }); // a screen reader begins to read here
  });
  show();
}

const missing: Page = (root) => {
  replace(root, h("div", { class: "empty" }, h("h1", {}, "There is no such page"), h("p", {}, h("a", { href: "#/fleet" }, "Go to the fleet"))));
};

function footer(session: Session | undefined, me?: Me): void {
  const leave = async (): Promise<void> => {
    await remove("session").catch(() => undefined);
    location.reload();
  };
  replace(
    byId("footer"),
    h("strong", {}, "Not a medical device."),
    h("span", {}, "Do not use it to diagnose, to treat or to raise alarms about real people."),
    h("span", { class: "spacer" }),
    h("a", { href: "api/v1/openapi.json" }, "API"),
    h("span", {}, session?.version ? `Heartbeat ${session.version}` : "Heartbeat"),
    me?.name && h("span", { id: "who" }, "Acting as ", h("b", {}, me.name), `, ${me.role}`),
    session?.sign_in_needed === true && session.signed_in && h("button", { type: "button", class: "quiet", onclick: () => void leave() }, "Sign out"),
  );
}

void start();
