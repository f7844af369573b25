/** A few logs beside each other. The one that was last touched, or has come last, has the keys. */

import type { RefObject } from "preact";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { WorkerState } from "../api";
import { useText } from "../i18n";
import { useKeys } from "../keys";
import { LogView } from "../log/LogView";
import { workerHref } from "../route";
import { Icon } from "../shell/Icon";
import { Name } from "../shell/Name";
import { text } from "../text";
import { inOrder, sharedLength } from "../worker/standing";
import { WorkerBar } from "../worker/WorkerBar";
import { Tails } from "./Tails";
import { namesOf, newcomer } from "./way";

interface Props {
  task: string;
  /** In the order in which they were put there; they are drawn in that of their names. */
  workers: readonly WorkerState[];
  /** Those that the address names. */
  named: readonly string[];
  /** Told of the one that has the keys. */
  onRead: (worker: string | undefined) => void;
}

export function SideBySide({ task, workers: shown, named, onRead }: Props) {
  const words = useText(text);
  const tails = useMemo(() => new Tails(task), [task]);
  const workers = inOrder(shown);
  const names = namesOf(workers);
  const list = useRef<HTMLDivElement>(null);
  const { active, touch, goTo } = useActive(names, shown[0]?.worker_id, named, list);
  useLayoutEffect(() => onRead(active));
  const step = (by: number) => () => {
    const next = names[names.indexOf(active ?? "") + by];
    if (next !== undefined) goTo(next);
  };
  const keys = [
    { keys: ["l"], label: words.keyNextWorker, run: step(1) },
    { keys: ["h"], label: words.keyPreviousWorker, run: step(-1) },
  ];
  useKeys(words.task, keys);
  return (
    <div class="side" ref={list}>
      {workers.map((worker) => (
        <Column
          key={worker.worker_id}
          worker={worker}
          shared={sharedLength(names)}
          tails={tails}
          active={worker.worker_id === active}
          onTouch={() => touch(worker.worker_id)}
        />
      ))}
    </div>
  );
}

/** The log that has the keys: `first`, who may have been read before, until another is touched. */
function useActive(
  names: readonly string[],
  first: string | undefined,
  named: readonly string[],
  list: RefObject<HTMLDivElement | null>,
) {
  const [touched, touch] = useState<string | undefined>(undefined);
  const goTo = (name: string) => {
    touch(name);
    const column = list.current?.children[names.indexOf(name)];
    column?.scrollIntoView({ block: "nearest" });
    // Of one that is higher than the window, its name.
    column?.firstElementChild?.scrollIntoView({ block: "nearest" });
  };
  const before = useRef(named);
  useLayoutEffect(() => {
    // Who comes by himself does not take the keys from the log that somebody reads.
    const came = newcomer(before.current, named);
    before.current = named;
    if (came !== undefined && names.includes(came)) goTo(came);
  });
  const active = touched !== undefined && names.includes(touched) ? touched : first;
  return { active, touch, goTo };
}

interface ColumnProps {
  worker: WorkerState;
  /** So many letters of its name are those of the others as well. */
  shared: number;
  tails: Tails;
  active: boolean;
  onTouch: () => void;
}

function Column({ worker, shared, tails, active, onTouch }: ColumnProps) {
  const words = useText(text);
  const name = worker.worker_id;
  // The address has room for one log's search and lines; those of a column are its own.
  const [query, setQuery] = useState(() => new URLSearchParams());
  return (
    <section class={active ? "column active" : "column"} aria-label={name} onFocusIn={onTouch} onPointerDown={onTouch}>
      <header>
        <h2 title={name} aria-label={name}>
          {shared > 0 && (
            <span class="shared">
              <Name of={name.slice(0, shared)} />
            </span>
          )}
          <span>
            <Name of={name.slice(shared)} />
          </span>
        </h2>
        <a class="button quiet icon-button" href={workerHref(name)} title={words.openAlone}>
          <Icon of="open" />
          <span class="unseen">{words.openAlone}</span>
        </a>
      </header>
      <WorkerBar worker={worker} />
      <LogView
        worker={name}
        state={worker}
        tail={(from) => tails.of(name, from)}
        query={query}
        setQuery={setQuery}
        active={active}
      />
    </section>
  );
}
