/** A task: its workers as tabs, side by side, or all their lines in order of time. */

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import * as api from "../api";
import { useText } from "../i18n";
import { useKeys } from "../keys";
import { LogView } from "../log/LogView";
import { entry, go, useTitle } from "../navigation";
import { notice } from "../notices";
import { usePolled } from "../poll";
import { Frame } from "../shell/Frame";
import { Shown } from "../shell/Trouble";
import { text } from "../text";
import { useUnpressed } from "../unpressed";
import { inOrder } from "../worker/standing";
import { WorkerBar } from "../worker/WorkerBar";
import { ByTime } from "./ByTime";
import { useFocusInLog } from "./focusInLog";
import { failedAmong } from "./NextFailed";
import { SideBySide } from "./SideBySide";
import { TaskBar } from "./TaskBar";
import { TaskSummary } from "./TaskSummary";
import { PANEL, tabId } from "./WorkerTabs";
import {
  carried,
  chosenHow,
  chosenQuery,
  isByItself,
  lastRead,
  namesOf,
  namingQuery,
  nextFailed,
  nextWay,
  queryOf,
  type Shown as ShownWorkers,
  shownOf,
  type Way,
  withLog,
} from "./way";
import "./task.css";

export function TaskView({ name, query }: { name: string; query: URLSearchParams }) {
  const words = useText(text);
  useTitle(name);
  // Never done: another attempt may come long after.
  const latest = usePolled(name, (options) => api.task(name, options));
  const polled = useUnpressed(".workers > button", latest);
  const up = () => go({ view: "tasks", query: new URLSearchParams() });
  useKeys(words.everywhere, [{ keys: ["u"], label: words.keyUp, run: up }], true, "view");
  const task = polled.value && { ...polled.value, workers: inOrder(polled.value.workers) };
  const shown = useShown(task, query);
  const toFailed = () => task && showNextFailed(task, shown, words);
  const failedKey = { keys: ["F"], label: words.keyNextFailed, run: toFailed };
  useKeys(words.task, [failedKey], task !== undefined && failedAmong(task), "view");
  const summary = task && <TaskSummary task={task} onFailed={toFailed} />;
  return (
    <Frame crumbs={[{ label: words.tasks, href: "#/" }]} title={name} summary={summary}>
      <Shown polled={polled} unknown={words.unknownTask(name)}>
        {() => task && <TaskBody task={task} shown={shown} query={query} onFailed={toFailed} />}
      </Shown>
    </Frame>
  );
}

/** Who is shown. Whoever is, by himself, stays, also when another fails: the address names him then. */
function useShown(task: api.Task | undefined, query: URLSearchParams): ShownWorkers {
  const workers = task?.workers ?? [];
  const kept = useRef<readonly string[]>([]);
  const shown = shownOf(query, workers, kept.current);
  useLayoutEffect(() => {
    kept.current = isByItself(shown) ? namesOf(shown.workers) : [];
    const anew = namesOf(shownOf(query, workers).workers);
    if (!task || !isByItself(shown) || kept.current.join() === anew.join()) return;
    go({ view: "task", name: task.task_id, query: namingQuery(shown) }, "replace");
  });
  return shown;
}

/** Shows a worker, alone or beside others. */
function showWorker(task: api.Task, shown: ShownWorkers, worker: api.WorkerState): void {
  go({ view: "task", name: task.task_id, query: chosenQuery(shown, worker) }, chosenHow(shown), entry.state);
}

/** Goes to the next worker that failed, as a press on it does, and says which. */
function showNextFailed(task: api.Task, shown: ShownWorkers, words: (typeof text)["en"]): void {
  const next = nextFailed(task.workers, shown.workers);
  if (next) showWorker(task, shown, next);
  notice(next ? words.failedWorker(next.worker_id) : words.noOtherFailed);
}

interface BodyProps {
  task: api.Task;
  shown: ShownWorkers;
  query: URLSearchParams;
  onFailed: () => void;
}

function TaskBody({ task, shown, query, onFailed }: BodyProps) {
  const show = (query: URLSearchParams, how: "push" | "replace", state?: unknown) =>
    go({ view: "task", name: task.task_id, query }, how, state);
  /** Of those beside each other, the one that has the keys. */
  const read = useRef<string | undefined>(undefined);
  const showWay = (way: Way) => {
    const next = carried(way, task.workers, lastRead(shown, task.workers, read.current));
    // Each log stays where it was left.
    show(queryOf(way, namesOf(next)), "push", entry.state);
  };
  const choose = (worker: api.WorkerState) => showWorker(task, shown, worker);
  useTaskKeys(task, shown, showWay, choose);
  useFocusInLog(shown.workers.at(-1)?.worker_id);
  return (
    <>
      <TaskBar task={task} shown={shown} onWay={showWay} onChoose={choose} onFailed={onFailed} />
      <Logs
        task={task}
        shown={shown}
        onRead={(worker) => {
          read.current = worker;
        }}
        setLog={(worker, log, replace) => show(withLog(query, worker, log), replace ? "replace" : "push")}
      />
    </>
  );
}

function useTaskKeys(
  task: api.Task,
  shown: ShownWorkers,
  showWay: (way: Way) => void,
  choose: (worker: api.WorkerState) => void,
): void {
  const words = useText(text);
  const step = (by: number) => () => {
    const [first] = shown.workers;
    const next = task.workers[(first ? task.workers.indexOf(first) : 0) + by];
    if (next && shown.way === "tabs") choose(next);
  };
  useKeys(
    words.task,
    [
      { keys: ["l"], label: words.keyNextWorker, run: step(1) },
      { keys: ["h"], label: words.keyPreviousWorker, run: step(-1) },
    ],
    shown.way === "tabs",
    "view",
  );
  const turn = () => showWay(nextWay(shown.way, 1));
  useKeys(words.task, [{ keys: ["v"], label: words.keyWay, run: turn }], true, "view");
}

interface LogsProps {
  task: api.Task;
  shown: ShownWorkers;
  onRead: (worker: string | undefined) => void;
  setLog: (worker: string, log: URLSearchParams, replace: boolean) => void;
}

function Logs({ task, shown, onRead, setLog }: LogsProps) {
  const words = useText(text);
  const [worker] = shown.workers;
  if (shown.way === "time") return <ByTime task={task} />;
  if (!worker) return <p class="note">{words.noWorkers}</p>;
  if (shown.way === "side")
    return <SideBySide task={task.task_id} workers={shown.workers} named={shown.named} onRead={onRead} />;
  return (
    <Panel labelledBy={tabId(task.workers.indexOf(worker))}>
      <WorkerBar worker={worker} below="tab" />
      <LogView
        key={worker.worker_id}
        worker={worker.worker_id}
        state={worker}
        query={shown.log}
        setQuery={(log, replace) => setLog(worker.worker_id, log, replace)}
        active
      />
    </Panel>
  );
}

function Panel({ labelledBy, children }: { labelledBy: string; children: ComponentChildren }) {
  return (
    <div class="panel" role="tabpanel" id={PANEL} aria-labelledby={labelledBy}>
      {children}
    </div>
  );
}
