/** What there is to say instead of lines, or of the connection they come by. */

import { reasonOf } from "../troubles";
import type { Texts } from "./messages";
import type { View } from "./view";

export function Notes({ view, words }: { view: View; words: Texts }) {
  return (
    <>
      <ConnectionNote view={view} words={words} />
      <FilterNote view={view} words={words} />
      <EmptyNote view={view} words={words} />
    </>
  );
}

function ConnectionNote({ view, words }: { view: View; words: Texts }) {
  const { connection, trouble } = view.log;
  // Nobody sees that it is paused; whoever comes back is to find the lines where they were.
  const broken = connection === "reconnecting" || connection === "unreachable" || connection === "refused";
  if (!broken && trouble === null) return null;
  return (
    <div class="log-note log-note-trouble" data-log="connection" data-connection={connection}>
      <span>{broken ? words.connections[connection] : trouble}</span>
      {connection !== "reconnecting" && broken && trouble !== null && <span class="quiet">{trouble}</span>}
      <button type="button" class="button" data-log="retry" onClick={() => view.log.retry()}>
        {words.retry}
      </button>
    </div>
  );
}

/** Why other lines are shown than were chosen. */
function FilterNote({ view, words }: { view: View; words: Texts }) {
  const { filter } = view.log;
  if (filter.busy)
    return (
      <p class="log-note quiet loading" data-log="filter">
        {words.filtering}
      </p>
    );
  if (filter.stopped === null) return null;
  return (
    <div class={`log-note ${filter.stopped === "failed" ? "log-note-trouble" : "quiet"}`} data-log="filter">
      <span>{words.filterStopped(filter.through + 1)}</span>
      {filter.stopped === "failed" && <span class="quiet">{reasonOf(filter.error)}</span>}
      {filter.stopped === "failed" && (
        <button type="button" class="button" onClick={() => view.log.retry()}>
          {words.retry}
        </button>
      )}
    </div>
  );
}

function EmptyNote({ view, words }: { view: View; words: Texts }) {
  const { worker, rows, connection, filter } = view.log;
  if (!worker)
    return connection === "connecting" ? <p class="log-note log-note-over quiet loading">{words.loading}</p> : null;
  // What is hidden may be of a stream that is shown, where that is not known yet.
  if (rows.count > 0 || filter.busy || (filter.through < rows.end && filter.stopped === null)) return null;
  const text = rows.end > 0 ? words.noneShown : worker.state === "open" ? words.empty : words.emptyClosed;
  return (
    <p class="log-note log-note-over quiet" data-log="empty">
      {text}
    </p>
  );
}
