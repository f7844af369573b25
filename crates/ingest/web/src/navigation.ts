/** Where the page is, and how it goes elsewhere. */

import { useEffect } from "preact/hooks";
import { format, parse, type Route } from "./route";
import { Cell, useCell } from "./store";

const current = new Cell<Route>(parse(location.hash));

export function listenForNavigation(): void {
  const follow = () => current.set(parse(location.hash));
  window.addEventListener("hashchange", follow);
  window.addEventListener("popstate", follow);
}

export function useRoute(): Route {
  return useCell(current);
}

/** Shows another view, or the same with another query. What is replaced cannot be gone back to, but what was kept with it stays. */
export function go(route: Route, how: "push" | "replace" = "push"): void {
  const hash = format(route);
  if (hash === location.hash) return;
  if (how === "push") history.pushState(null, "", hash);
  else history.replaceState(history.state, "", hash);
  current.set(parse(hash));
}

/** The window's title while a view is shown, the most special part first. */
export function useTitle(...parts: string[]): void {
  const title = [...parts, "Ottoscaler"].join(" · ");
  useEffect(() => {
    document.title = title;
  }, [title]);
}
