/** What is around each view: where it is, settings, help, and the main part. */

import type { ComponentChildren } from "preact";
import { useText } from "../i18n";
import { text } from "../text";
import { openHelp } from "./Help";
import { Icon } from "./Icon";
import { Name } from "./Name";
import { Settings } from "./Settings";
import "./shell.css";

export interface Crumb {
  readonly label: string;
  readonly href: string;
}

interface Props {
  /** The way here from the list. */
  crumbs: readonly Crumb[];
  /** The view's own name. */
  title: string;
  /** The view in a few words, where there is room. */
  summary?: ComponentChildren;
  children: ComponentChildren;
}

export function Frame({ crumbs, title, summary, children }: Props) {
  const words = useText(text);
  return (
    <div class="frame">
      <header class="top">
        <a class="brand" href="#/" aria-label={words.product}>
          <Icon of="logo" size={18} />
          <span>{words.product}</span>
        </a>
        <nav class="crumbs" aria-label={words.path}>
          <ol>
            {crumbs.map(({ label, href }) => (
              <li key={href}>
                <a href={href} title={label}>
                  <Name of={label} />
                </a>
              </li>
            ))}
            <li title={title}>
              <h1 aria-current="page">
                <Name of={title} />
              </h1>
            </li>
          </ol>
        </nav>
        {summary && <div class="top-summary">{summary}</div>}
        <div class="top-tools">
          <Settings />
          <button type="button" class="button quiet icon-button" title={`${words.help} (?)`} onClick={openHelp}>
            <span aria-hidden="true">?</span>
            <span class="unseen">{words.help}</span>
          </button>
        </div>
      </header>
      <main id="main" tabIndex={-1} aria-label={title}>
        {children}
      </main>
    </div>
  );
}
