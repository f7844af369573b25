/** What the list of tasks is narrowed to, as its address says it. */

import { type TaskQuery, taskStates } from "../api";
import { withEntry } from "../route";

/** Tasks on a page. */
export const PAGE = 200;

export interface Filter {
  readonly q: string;
  readonly state: TaskQuery["state"];
  readonly failedFirst: boolean;
  /** Counts from 1. */
  readonly page: number;
  /** Where the page begins; none for the first. */
  readonly cursor: string | undefined;
}

export function filterOf(query: URLSearchParams): Filter {
  const cursor = query.get("cursor") ?? undefined;
  const page = Number(query.get("page"));
  return {
    q: query.get("q") ?? "",
    state: taskStates.find((state) => state === query.get("state")),
    failedFirst: query.get("order") === "failed",
    page: cursor !== undefined && Number.isSafeInteger(page) && page > 1 ? page : 1,
    cursor,
  };
}

/** What the server is asked for. */
export function asked({ q, state, failedFirst, cursor }: Filter): TaskQuery {
  return { q: q || undefined, state, order: failedFirst ? "failed" : undefined, limit: PAGE, cursor };
}

/** Whether anything but the order says which tasks are shown. */
export function isNarrowed(filter: Filter): boolean {
  return filter.q !== "" || filter.state !== undefined;
}

/** Another filter begins at its first page. */
export function changed(
  query: URLSearchParams,
  name: "q" | "state" | "order",
  value: string | undefined,
): URLSearchParams {
  return toPage(withEntry(query, name, value), 1, undefined);
}

export function toPage(query: URLSearchParams, page: number, cursor: string | undefined): URLSearchParams {
  return withEntry(withEntry(query, "page", page > 1 ? String(page) : undefined), "cursor", cursor);
}

/** The numbers of the first and last task on a page. */
export function rangeOf(page: number, shown: number): [number, number] {
  const before = (page - 1) * PAGE;
  return [before + 1, before + shown];
}
