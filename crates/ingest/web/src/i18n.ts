/** The language of the page. Each part has a catalogue of its own, with the same entries in each language. */

import { language } from "./settings";
import { Cell, useCell } from "./store";

export type Language = "en" | "ko";

/** The same texts in each language. */
export type Catalog<T> = Readonly<Record<Language, T>>;

/** The language for a choice, and what the browser says people prefer, the best first. */
export function languageOf(choice: "system" | Language, preferred: readonly string[]): Language {
  if (choice !== "system") return choice;
  for (const tag of preferred) {
    const [primary] = tag.toLowerCase().split("-");
    if (primary === "ko" || primary === "en") return primary;
  }
  return "en";
}

const shown = new Cell<Language>("en");

/** Keeps the language up with the choice and the system. */
export function applyLanguage(root: HTMLElement): void {
  const apply = () => {
    shown.set(languageOf(language.value, navigator.languages));
    root.lang = shown.value;
  };
  language.subscribe(apply);
  window.addEventListener("languagechange", apply);
  apply();
}

export function useLanguage(): Language {
  return useCell(shown);
}

/** For what is said once: it does not change with the language later. */
export function textNow<T>(catalog: Catalog<T>): T {
  return catalog[shown.value];
}

export function useText<T>(catalog: Catalog<T>): T {
  return catalog[useLanguage()];
}
