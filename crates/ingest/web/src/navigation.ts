/** Where the page is, and how it goes elsewhere. */

import { useEffect } from "preact/hooks";
import { Entry } from "./entry";
import { format, parse, type Route } from "./route";
import { Cell, useCell } from "./store";

const current = new Cell<Route>(parse(location.hash));

/** The browser's entry for what is shown. */
export const entry = new Entry(history);

export function listenForNavigation(): void {
  const follow = () => {
    entry.left();
    current.set(parse(location.hash));
  };
  window.addEventListener("hashchange", follow);
  window.addEventListener("popstate", follow);
  // A link leads elsewhere, and so may the browser.
  const leaves = ({ target }: Event) => target instanceof Element && target.closest("a[href]") && entry.flush();
  document.addEventListener("click", leaves, { capture: true });
  window.addEventListener("pagehide", () => entry.flush());
}

export function useRoute(): Route {
  return useCell(current);
}

/** Shows another view, or the same with another query. What is replaced cannot be gone back to, but what was kept with it stays. */
export function go(route: Route, how: "push" | "replace" = "push"): void {
  const hash = format(route);
  if (hash === (entry.address ?? location.hash)) return;
  if (how === "push") entry.push(hash);
  else entry.readdress(hash);
  current.set(parse(hash));
}

/** The window's title while a view is shown, the most special part first. */
export function useTitle(...parts: string[]): void {
  const title = [...parts, "Ottoscaler"].join(" · ");
  useEffect(() => {
    document.title = title;
  }, [title]);
}
