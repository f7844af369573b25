/** What is shown stays while it is pressed: else the press is for what has come in its place, or for nothing. */

import { useLayoutEffect, useReducer, useRef } from "preact/hooks";
import { Press } from "./press";

/** The latest value, but the one of before while something that matches a selector is pressed. */
export function useUnpressed<T>(pressable: string, value: T): T {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  const press = useRef<Press | null>(null);
  const shown = useRef(value);
  useLayoutEffect(() => {
    const made = new Press(document, pressable, () => redraw(undefined));
    press.current = made;
    return () => made.close();
  }, [pressable]);
  if (!press.current?.isDown) shown.current = value;
  return shown.current;
}
