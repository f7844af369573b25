/** What a person may choose for the whole page. "system" is what the system says, also when that changes. */

import { stored } from "./stored";

export const themes = ["system", "light", "dark"] as const;
export const languages = ["system", "en", "ko"] as const;

export const theme = stored("theme", themes);
export const language = stored("language", languages);
/** Keys of one character. Whoever dictates, or hits keys by chance, may want none of them. */
export const letterKeys = stored("keys", ["on", "off"]);

/** Puts the theme where the styles look for it, now and after each change. */
export function applyTheme(root: HTMLElement): void {
  const apply = () => {
    if (theme.value === "system") delete root.dataset["theme"];
    else root.dataset["theme"] = theme.value;
  };
  theme.subscribe(apply);
  apply();
}
