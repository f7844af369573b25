/**
 * The address of a view, in the part behind the `#`: `#/`, `#/tasks/T`, `#/workers/W`, each with a query behind a `?`.
 */

export type Route = { readonly query: URLSearchParams } & (
  | { readonly view: "tasks" }
  | { readonly view: "task" | "worker"; readonly name: string }
  | { readonly view: "unknown" }
);

/** A link to lines as other pages write it, behind a second `#`: `#L120` or `#L120-L140`. */
const LINES = /#L(\d+)(?:-L?(\d+))?$/;

export function parse(hash: string): Route {
  const [path = "", search = ""] = split(hash.replace(/^#/, "").replace(LINES, ""), "?");
  const query = new URLSearchParams(search);
  const lines = LINES.exec(hash.slice(1));
  if (lines) query.set("line", lines[2] ? `${lines[1]}-${lines[2]}` : `${lines[1]}`);
  const [root, view, name, ...more] = path.split("/");
  if (root !== "") return { view: "unknown", query };
  if (!view && name === undefined) return { view: "tasks", query };
  const kind = view === "tasks" ? "task" : view === "workers" ? "worker" : undefined;
  const decoded = decode(name ?? "");
  if (!kind || !decoded || more.length > 0) return { view: "unknown", query };
  return { view: kind, name: decoded, query };
}

/** The text before and behind the first `mark`. */
function split(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

/** `undefined` where the text is not as an address writes a name. */
function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

export function format(route: Route): string {
  const search = route.query.toString();
  return search === "" ? path(route) : `${path(route)}?${search}`;
}

function path(route: Route): string {
  switch (route.view) {
    case "task":
      return `#/tasks/${encodeURIComponent(route.name)}`;
    case "worker":
      return `#/workers/${encodeURIComponent(route.name)}`;
    case "tasks":
    case "unknown":
      return "#/";
  }
}

export function tasksHref(): string {
  return "#/";
}

export function taskHref(name: string, query = new URLSearchParams()): string {
  return format({ view: "task", name, query });
}

export function workerHref(name: string, query = new URLSearchParams()): string {
  return format({ view: "worker", name, query });
}

/** A line in its worker's log. */
export function lineHref(worker: string, sequence: number): string {
  return `${workerHref(worker)}#L${sequence}`;
}

/** The query with one entry more, or less where there is no value. */
export function withEntry(query: URLSearchParams, name: string, value: string | null | undefined): URLSearchParams {
  const next = new URLSearchParams(query);
  if (value === null || value === undefined || value === "") next.delete(name);
  else next.set(name, value);
  return next;
}

/** Entries of the query that are `names`, and those that are not. */
export function divided(query: URLSearchParams, names: readonly string[]): [URLSearchParams, URLSearchParams] {
  const within = new URLSearchParams();
  const without = new URLSearchParams();
  for (const [name, value] of query) (names.includes(name) ? within : without).append(name, value);
  return [within, without];
}
