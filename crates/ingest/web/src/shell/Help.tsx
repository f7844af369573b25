/** The sheet with the keys of what is shown. */

import { useLayoutEffect, useRef } from "preact/hooks";
import { useText } from "../i18n";
import { keyGroups, sheetOf, withoutLetters } from "../keys";
import { letterKeys } from "../settings";
import { Cell, useCell } from "../store";
import { text } from "../text";
import { Icon } from "./Icon";

const isOpen = new Cell(false);

export function openHelp(): void {
  isOpen.set(true);
}

/** Names of keys that do not say themselves. */
const NAMES: Readonly<Record<string, string>> = {
  ArrowDown: "↓",
  ArrowUp: "↑",
  ArrowLeft: "←",
  ArrowRight: "→",
  Escape: "Esc",
  " ": "Space",
  PageDown: "PgDn",
  PageUp: "PgUp",
};

export function Help() {
  const words = useText(text);
  const open = useCell(isOpen);
  const letters = useCell(letterKeys) === "on";
  const all = useCell(keyGroups);
  const groups = letters ? all : withoutLetters(all);
  const dialog = useRef<HTMLDialogElement>(null);
  // At once: the next key may be here before the next frame.
  useLayoutEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    // A click on the dialog itself is one beside its contents.
    <dialog
      class="help"
      ref={dialog}
      aria-labelledby="help-title"
      // The browser closes it first and tells of it later: a key may have opened it again meanwhile.
      onCancel={() => isOpen.set(false)}
      onClose={() => dialog.current?.open || isOpen.set(false)}
      onClick={(event) => event.target === dialog.current && isOpen.set(false)}
      onKeyDown={(event) => {
        // Closed, it may have the focus for a moment yet; and a key that is not taken is the page's, which opens it.
        if (event.key !== "?" || !dialog.current?.open) return;
        event.preventDefault();
        isOpen.set(false);
      }}
    >
      <header>
        <h2 id="help-title">{words.help}</h2>
        <button type="button" class="button quiet icon-button" title={words.close} onClick={() => isOpen.set(false)}>
          <Icon of="cross" />
          <span class="unseen">{words.close}</span>
        </button>
      </header>
      <div class="help-body">
        <p>{words.helpIntro}</p>
        <div class="help-groups">
          {sheetOf(groups).map((group) => (
            <section key={group.title}>
              <h3>{group.title}</h3>
              <dl>
                {group.bindings.map(({ keys, label }) => (
                  <div key={label}>
                    <dt>{label}</dt>
                    <dd>
                      {keys.map((key) => (
                        <kbd key={key}>{NAMES[key] ?? key}</kbd>
                      ))}
                    </dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </div>
        <p class="quiet">{letters ? words.helpFields : words.helpLettersOff}</p>
      </div>
    </dialog>
  );
}
