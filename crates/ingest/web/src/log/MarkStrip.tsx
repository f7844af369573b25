/** Beside the scroll bar: where in the whole log the failures and the matches are. A press goes there. */

import { useMemo } from "preact/hooks";
import { marks, ofKind } from "./marks";
import type { Texts } from "./messages";
import type { Range } from "./rows";
import type { View } from "./view";

export function MarkStrip({ view, words }: { view: View; words: Texts }) {
  const { outline, rows, search, firstFailure } = view.log;
  const hits = search?.hits;
  // In a log that grows marks move by less than can be seen.
  const size = Math.round(Math.log(rows.count + 1) * 200);
  // biome-ignore lint/correctness/useExhaustiveDependencies: `size` stands for the rows.
  const all = useMemo(() => {
    const told = outline?.marks ?? [];
    const first: Range[] = firstFailure === null ? [] : [[firstFailure, firstFailure]];
    return [
      ...marks("warning", ofKind(told, "warning"), rows),
      ...marks(
        "error",
        [...ofKind(told, "error"), ...first].sort((a, b) => a[0] - b[0]),
        rows,
      ),
      ...marks("hit", hits?.ranges ?? [], rows),
    ];
  }, [outline, size, hits, firstFailure]);
  // Keys go to all of them: `e`, `n`, `N`. Two hundred more stops on the way with Tab would help nobody.
  return (
    <div class="log-marks" aria-hidden="true" title={words.marks} onClick={(event) => go(event, view)}>
      {all.map(({ share, kind, sequence }) => (
        <i
          key={`${kind}${share}`}
          class={`log-mark log-mark-is-${kind}`}
          data-mark={kind}
          data-line={sequence}
          style={{ top: `${share * 100}%` }}
        />
      ))}
    </div>
  );
}

function go(event: MouseEvent, view: View): void {
  const { target, currentTarget } = event;
  const line = target instanceof HTMLElement ? Number(target.dataset["line"]) : Number.NaN;
  if (line > 0) {
    view.toLine(line);
    view.choice.cursor = line;
    return;
  }
  const box = (currentTarget as HTMLElement).getBoundingClientRect();
  view.setFollow(false);
  view.scroller.toShare((event.clientY - box.top) / box.height);
}
