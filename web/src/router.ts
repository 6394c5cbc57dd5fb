/** Where the viewer is: a page, what it is about, and its settings, all in the fragment of the address. */
export interface Route {
  readonly page: string;
  readonly subject: string;
  readonly query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [page = "", subject = ""] = path.split("/", 2);
  return { page: page || "fleet", subject: decodeURIComponent(subject), query: new URLSearchParams(query) };
}

export function href(page: string, subject = "", query: Readonly<Record<string, string>> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `#/${page}${subject ? "/" + encodeURIComponent(subject) : ""}${search ? "?" + search : ""}`;
}

export function go(address: string): void {
  location.hash = address;
}

/** Changes the address without a new entry in the history, for settings of the page at hand. */
export function amend(address: string): void {
  history.replaceState(null, "", address);
}
