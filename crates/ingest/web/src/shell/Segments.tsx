/** One of a few choices, as a row of buttons: a radio group, which the arrow keys go through. */

import { useRef } from "preact/hooks";

export interface Choice<T> {
  readonly value: T;
  readonly label: string;
}

interface Props<T> {
  label: string;
  choices: readonly Choice<NoInfer<T>>[];
  value: T;
  onChoose: (value: NoInfer<T>) => void;
}

export function Segments<T>({ label, choices, value, onChoose }: Props<T>) {
  const group = useRef<HTMLDivElement>(null);
  const chosen = Math.max(
    0,
    choices.findIndex((choice) => choice.value === value),
  );
  const step = (event: KeyboardEvent) => {
    const by = STEPS[event.key];
    if (by === undefined) return;
    event.preventDefault();
    const at = (chosen + by + choices.length) % choices.length;
    const choice = choices[at];
    if (choice) onChoose(choice.value);
    const button = group.current?.children[at];
    if (button instanceof HTMLElement) button.focus();
  };
  return (
    <div class="segments" role="radiogroup" aria-label={label} onKeyDown={step} ref={group}>
      {choices.map((choice, at) => (
        // biome-ignore lint/a11y/useSemanticElements: a radio input cannot be a button of this look without more elements.
        <button
          type="button"
          role="radio"
          key={choice.label}
          aria-checked={choice.value === value}
          tabIndex={at === chosen ? 0 : -1}
          onClick={() => onChoose(choice.value)}
        >
          {choice.label}
        </button>
      ))}
    </div>
  );
}

const STEPS: Readonly<Record<string, number>> = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
