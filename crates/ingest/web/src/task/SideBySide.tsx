/** A few logs beside each other. The one that was last touched has the keys. */

import { useMemo, useRef, useState } from "preact/hooks";
import type { WorkerState } from "../api";
import { useText } from "../i18n";
import { useKeys } from "../keys";
import { LogView } from "../log/LogView";
import { workerHref } from "../route";
import { Icon } from "../shell/Icon";
import { Name } from "../shell/Name";
import { text } from "../text";
import { inOrder } from "../worker/standing";
import { WorkerBar } from "../worker/WorkerBar";
import { Tails } from "./Tails";
import { namesOf } from "./way";

interface Props {
  task: string;
  /** In the order in which they were put there; they are drawn in that of their names. */
  workers: readonly WorkerState[];
}

export function SideBySide({ task, workers: shown }: Props) {
  const words = useText(text);
  const tails = useMemo(() => new Tails(task), [task]);
  const [active, setActive] = useState<string | undefined>(undefined);
  const workers = inOrder(shown);
  const names = namesOf(workers);
  const withKeys = active !== undefined && names.includes(active) ? active : names[0];
  const list = useRef<HTMLDivElement>(null);
  const step = (by: number) => () => {
    const at = names.indexOf(withKeys ?? "") + by;
    setActive(names[at] ?? withKeys);
    list.current?.children[at]?.scrollIntoView({ block: "nearest" });
  };
  const keys = [
    { keys: ["l"], label: words.keyNextWorker, run: step(1) },
    { keys: ["h"], label: words.keyPreviousWorker, run: step(-1) },
  ];
  useKeys(words.keysTask, keys);
  return (
    <div class="side" ref={list}>
      {workers.map((worker) => (
        <Column
          key={worker.worker_id}
          worker={worker}
          tails={tails}
          active={worker.worker_id === withKeys}
          onTouch={() => setActive(worker.worker_id)}
        />
      ))}
    </div>
  );
}

interface ColumnProps {
  worker: WorkerState;
  tails: Tails;
  active: boolean;
  onTouch: () => void;
}

function Column({ worker, tails, active, onTouch }: ColumnProps) {
  const words = useText(text);
  const name = worker.worker_id;
  // The address has room for one log's search and lines; those of a column are its own.
  const [query, setQuery] = useState(() => new URLSearchParams());
  return (
    <section class={active ? "column active" : "column"} aria-label={name} onFocusIn={onTouch} onPointerDown={onTouch}>
      <header>
        <h2 title={name}>
          <Name of={name} />
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
