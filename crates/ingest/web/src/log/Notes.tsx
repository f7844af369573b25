/** What there is to say instead of lines, or of the connection they come by. */

import type { Texts } from "./messages";
import type { View } from "./view";

export function Notes({ view, words }: { view: View; words: Texts }) {
  return (
    <>
      <ConnectionNote view={view} words={words} />
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
      {connection === "refused" && trouble !== null && <span class="quiet">{trouble}</span>}
      <button type="button" class="button" data-log="retry" onClick={() => view.log.retry()}>
        {words.retry}
      </button>
    </div>
  );
}

function EmptyNote({ view, words }: { view: View; words: Texts }) {
  const { worker, rows, connection } = view.log;
  if (!worker) return connection === "connecting" ? <p class="log-note quiet loading">{words.loading}</p> : null;
  if (rows.count > 0) return null;
  const text = rows.end > 0 ? words.noneShown : worker.state === "open" ? words.empty : words.emptyClosed;
  return (
    <p class="log-note quiet" data-log="empty">
      {text}
    </p>
  );
}
