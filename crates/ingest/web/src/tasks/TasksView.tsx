/** The list of tasks, kept up to date. Which of them, and in which order, is in the address. */

import { useEffect, useRef } from "preact/hooks";
import * as api from "../api";
import { grouped } from "../format";
import { useText } from "../i18n";
import { useKeys } from "../keys";
import { go, useTitle } from "../navigation";
import { usePolled } from "../poll";
import { Frame } from "../shell/Frame";
import { Shown } from "../shell/Trouble";
import { text } from "../text";
import { useUnpressed } from "../unpressed";
import { FilterBar } from "./FilterBar";
import { asked, changed, type Filter, filterOf, isNarrowed, rangeOf, toPage } from "./filter";
import { TaskTable } from "./TaskTable";
import "./tasks.css";

export function TasksView({ query }: { query: URLSearchParams }) {
  const words = useText(text);
  useTitle(words.tasks);
  const filter = filterOf(query);
  const latest = usePolled(JSON.stringify(asked(filter)), (options) => api.tasks(asked(filter), options));
  const polled = useUnpressed(".tasks tbody tr", latest);
  const cursors = useRef(new Map<number, string>());
  const { page } = filter;
  const next = polled.value?.next;
  const show = (query: URLSearchParams) => go({ view: "tasks", query });
  const forward = () => {
    if (next === undefined) return;
    cursors.current.set(page + 1, next);
    show(toPage(query, page + 1, next));
  };
  const back = () => {
    // Where the way here is not known, as after a reload, back is the first page.
    const cursor = cursors.current.get(page - 1);
    if (page > 1) show(cursor === undefined ? toPage(query, 1, undefined) : toPage(query, page - 1, cursor));
  };
  const isStale = polled.error?.status === 400 && filter.cursor !== undefined;
  useEffect(() => {
    // A link may be older than what the server knows of pages.
    if (isStale) go({ view: "tasks", query: toPage(query, 1, undefined) }, "replace");
  }, [isStale, query]);
  useKeys(words.keysList, [
    { keys: ["N"], label: words.nextPage, run: forward },
    { keys: ["P"], label: words.previousPage, run: back },
  ]);
  return (
    <Frame crumbs={[]} title={words.tasks}>
      <FilterBar query={query} filter={filter} />
      <Shown polled={polled} unknown={words.unknownPage}>
        {(value) => (
          <>
            {value.tasks.length === 0 ? <NoTasks filter={filter} query={query} /> : <TaskTable tasks={value.tasks} />}
            <Pages
              filter={filter}
              shown={value.tasks.length}
              total={value.total}
              hasNext={next !== undefined}
              forward={forward}
              back={back}
            />
          </>
        )}
      </Shown>
    </Frame>
  );
}

function NoTasks({ filter, query }: { filter: Filter; query: URLSearchParams }) {
  const words = useText(text);
  if (isNarrowed(filter)) {
    const clear = () => go({ view: "tasks", query: changed(changed(query, "q", undefined), "state", undefined) });
    return (
      <div class="note" role="status">
        <h2>{words.noMatch}</h2>
        <button type="button" class="button" onClick={clear}>
          {words.clear}
        </button>
      </div>
    );
  }
  return (
    <div class="note" role="status">
      <h2>{words.noTasks}</h2>
      <p>{words.noTasksHint}</p>
      <pre>otto-agent run --ingest-url http://HOST:50051 -- COMMAND</pre>
    </div>
  );
}

interface PagesProps {
  filter: Filter;
  shown: number;
  total: number;
  hasNext: boolean;
  forward: () => void;
  back: () => void;
}

function Pages({ filter: { page }, shown, total, hasNext, forward, back }: PagesProps) {
  const words = useText(text);
  if (total === 0) return null;
  const [first, last] = rangeOf(page, shown).map((value) => grouped(value));
  const all = grouped(total);
  const whole = total === 1 ? words.oneTask : words.tasksShown(all);
  const paged = page > 1 || hasNext;
  return (
    <nav class="pages" aria-label={words.tasks}>
      <span class="quiet number">{paged ? words.range(`${first}`, `${last}`, all) : whole}</span>
      {paged && (
        <>
          <button type="button" class="button" disabled={page === 1} onClick={back}>
            {words.previousPage}
          </button>
          <button type="button" class="button" disabled={!hasNext} onClick={forward}>
            {words.nextPage}
          </button>
        </>
      )}
    </nav>
  );
}
