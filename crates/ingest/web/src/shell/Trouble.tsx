/** What a view says while there is nothing to show, or while what it shows is of before. */

import { type ComponentChildren, createContext } from "preact";
import { useContext } from "preact/hooks";
import type { ApiError } from "../api";
import { useText } from "../i18n";
import type { Polled } from "../poll";
import { text } from "../text";
import { reasonOf } from "../troubles";

/** Whether it is said already, above all that is shown, that the server has no answer. */
const SaidAbove = createContext(false);

/** A line above what is shown, while the server has no answer. */
export function Banner({ error }: { error: ApiError | undefined }) {
  const words = useText(text);
  const isSaid = useContext(SaidAbove);
  return (
    <div role="status">
      {error && !isSaid && (
        <p class="banner">{error.code === "unreachable" ? words.unreachable : words.refused(reasonOf(error))}</p>
      )}
    </div>
  );
}

interface Props<T> {
  polled: Polled<T>;
  /** Said where the server knows no such thing. */
  unknown: string;
  children: (value: T) => ComponentChildren;
}

/** What there is, with a line above it in trouble; without it, why there is nothing. */
export function Shown<T>({ polled, unknown, children }: Props<T>) {
  const words = useText(text);
  const { value, error } = polled;
  return (
    <Known error={error} unknown={unknown}>
      {value !== undefined && children(value)}
      {value === undefined && !error && (
        <div class="note loading" role="status">
          <p>{words.loading}</p>
        </div>
      )}
    </Known>
  );
}

interface KnownProps {
  error: ApiError | undefined;
  unknown: string;
  children: ComponentChildren;
}

/** The same for what need not wait for the answer. */
export function Known({ error, unknown, children }: KnownProps) {
  const words = useText(text);
  if (error?.code !== "not_found") {
    return (
      <>
        <Banner error={error} />
        <SaidAbove.Provider value={error !== undefined}>{children}</SaidAbove.Provider>
      </>
    );
  }
  return (
    <div class="note" role="status">
      <p>{unknown}</p>
      <a class="button" href="#/">
        {words.toTasks}
      </a>
    </div>
  );
}
