/** A worker's log with its state above it. */

import * as api from "../api";
import { useText } from "../i18n";
import { useKeys } from "../keys";
import { LogView } from "../log/LogView";
import { go, useTitle } from "../navigation";
import { usePolled } from "../poll";
import { taskHref } from "../route";
import { Frame } from "../shell/Frame";
import { Known } from "../shell/Trouble";
import { text } from "../text";
import { WorkerBar } from "./WorkerBar";

export function WorkerView({ name, query }: { name: string; query: URLSearchParams }) {
  const words = useText(text);
  useTitle(name);
  const polled = usePolled(
    name,
    (options) => api.worker(name, options),
    ({ state }) => state === "closed",
  );
  const task = polled.value?.task_id;
  useKeys(words.everywhere, [{ keys: ["u"], label: words.keyUp, run: () => go(upFrom(task)) }], true, "view");
  const setQuery = (next: URLSearchParams, replace: boolean) =>
    go({ view: "worker", name, query: next }, replace ? "replace" : "push");
  return (
    <Frame crumbs={crumbs(words.tasks, task)} title={name}>
      <Known error={polled.error} unknown={words.unknownWorker(name)}>
        {polled.value ? <WorkerBar worker={polled.value} /> : <div class="worker-bar" />}
        <LogView key={name} worker={name} query={query} setQuery={setQuery} active />
      </Known>
    </Frame>
  );
}

function crumbs(tasks: string, task: string | undefined) {
  const list = { label: tasks, href: "#/" };
  return task === undefined ? [list] : [list, { label: task, href: taskHref(task) }];
}

function upFrom(task: string | undefined) {
  const query = new URLSearchParams();
  return task === undefined ? ({ view: "tasks", query } as const) : ({ view: "task", name: task, query } as const);
}
