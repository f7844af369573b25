/** How a worker or a task stands: a mark, a colour, and always a word. */

import type { TaskSummary, WorkerState } from "../api";
import { grouped } from "../format";
import { useText } from "../i18n";
import { text } from "../text";
import { isIncomplete, type Standing, signalName, standingOf, standingOfTask } from "../worker/standing";
import { type Drawing, Icon } from "./Icon";
import "./standing.css";

const drawings: Readonly<Record<Standing["kind"], Drawing>> = {
  waiting: "clock",
  running: "run",
  passed: "check",
  failed: "cross",
  signalled: "bolt",
};

export function WorkerStanding({ worker }: { worker: WorkerState }) {
  const words = useText(text);
  const standing = standingOf(worker);
  return (
    <span class={`standing ${standing.kind}`}>
      <Icon of={drawings[standing.kind]} />
      <span>{wordOf(standing, words)}</span>
      {isIncomplete(worker) && (
        <span class="fell-short" title={words.incomplete}>
          <Icon of="alert" />
          <span class="unseen">{words.incomplete}</span>
        </span>
      )}
    </span>
  );
}

function wordOf(standing: Standing, words: (typeof text)["en"]): string {
  switch (standing.kind) {
    case "waiting":
      return words.waiting;
    case "running":
      return words.running;
    case "signalled":
      return words.signal(signalName(standing.signal));
    case "passed":
    case "failed":
      return standing.code === null ? words.exitUnknown : words.exit(String(standing.code));
  }
}

export function TaskStanding({ task }: { task: Pick<TaskSummary, "failed" | "open" | "workers"> }) {
  const words = useText(text);
  const kind = standingOfTask(task);
  const some = task.workers > 1;
  const failed = some ? words.someFailed(grouped(task.failed), grouped(task.workers)) : words.failed;
  return (
    <span class={`standing ${kind}`}>
      <Icon of={drawings[kind]} />
      <span>{{ failed, running: words.running, passed: words.done }[kind]}</span>
      {kind === "failed" && task.open > 0 && (
        <span class="still-running" title={words.running}>
          <Icon of="run" />
          <span class="unseen">{words.running}</span>
        </span>
      )}
    </span>
  );
}
