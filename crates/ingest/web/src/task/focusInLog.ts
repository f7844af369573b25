/** A log takes the focus that the one in whose place it came has left to nobody: who reads with a screen reader is in it. */

import { useLayoutEffect, useRef } from "preact/hooks";

export function useFocusInLog(worker: string | undefined): void {
  const before = useRef(worker);
  useLayoutEffect(() => {
    if (before.current === worker) return;
    before.current = worker;
    if (worker === undefined || document.activeElement !== document.body) return;
    const log = document.querySelector(`.log[data-worker="${CSS.escape(worker)}"]`);
    log?.querySelector<HTMLElement>(".log-scroller")?.focus({ preventScroll: true });
  }, [worker]);
}
