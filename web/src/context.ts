import type { Feed } from "./feed";
import type { Clock } from "./format";
import type { Route } from "./router";
import type { Me } from "./api";

/** What a page is given. It lives until the signal. */
export interface Context {
  readonly feed: Feed;
  readonly clock: Clock;
  readonly me: Me;
  readonly route: Route;
  readonly signal: AbortSignal;
}

/** Fills the element with a page. */
export type Page = (root: HTMLElement, context: Context) => void;
