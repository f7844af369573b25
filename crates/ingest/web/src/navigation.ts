/** Where the page is, and how it goes elsewhere. */

import { useEffect } from "preact/hooks";
import { Entry } from "./entry";
import { format, parse, type Route } from "./route";
import { Cell, useCell } from "./store";

const current = new Cell<Route>(parse(location.hash));

/** The browser's entry for what is shown. */
export const entry = new Entry(history);

/** How often an address was entered that was shown already. */
export const enteredAgain = new Cell(0);

export function listenForNavigation(): void {
  const follow = () => {
    entry.left();
    current.set(parse(location.hash));
  };
  const come = ({ state }: PopStateEvent) => {
    const before = format(current.value);
    follow();
    // An entry that was left before has a state.
    if (state === null && format(current.value) === before) enteredAgain.set(enteredAgain.value + 1);
  };
  window.addEventListener("hashchange", follow);
  window.addEventListener("popstate", come);
  // A link leads elsewhere, and so may the browser.
  const leaves = ({ target }: Event) => target instanceof Element && target.closest("a[href]") && entry.flush();
  document.addEventListener("click", leaves, { capture: true });
  window.addEventListener("pagehide", () => entry.flush());
}

export function useRoute(): Route {
  return useCell(current);
}

const isSameView = (one: Route, other: Route) =>
  format({ ...one, query: new URLSearchParams() }) === format({ ...other, query: new URLSearchParams() });

/**
 * Shows another view, or the same with another query. What is replaced cannot be gone back to, but what was kept with it
 * stays; whoever has left that view meanwhile, as by a link, is not brought back to it. What is pushed may keep something
 * from the beginning.
 */
export function go(route: Route, how: "push" | "replace" = "push", state: unknown = null): void {
  const hash = format(route);
  if (hash === (entry.address ?? location.hash)) return;
  if (how === "replace" && !isSameView(route, current.value)) return;
  if (how === "push") entry.push(hash, state);
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
