/** A button of a log, with what it is for and its key as its title. */

import type { ComponentChildren } from "preact";

interface Props {
  /** What it is found by. */
  name: string;
  title?: string;
  /** Its key. */
  hint?: string | number;
  /** Its classes beside those of all buttons. */
  look?: string;
  /** What is read out, where that is not what it shows. */
  label?: string;
  /** Of what is on or off. */
  on?: boolean;
  press: () => void;
  children: ComponentChildren;
}

export function Tool({ name, title, hint, look = "quiet", label, on, press, children }: Props) {
  return (
    <button
      type="button"
      class={`button ${look}`}
      data-log={name}
      aria-label={label}
      aria-pressed={on}
      title={hint ? `${title} (${hint})` : title}
      onClick={press}
    >
      {children}
    </button>
  );
}

/** One that shows a sign: its title is read out. */
export function Sign(props: Omit<Props, "look" | "label"> & { title: string }) {
  return <Tool {...props} look="quiet icon-button" label={props.title} />;
}
