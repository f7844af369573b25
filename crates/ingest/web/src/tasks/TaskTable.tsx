/** The rows of the list. The link of a row is what has the focus; j and k go through them. */

import { useLayoutEffect, useRef } from "preact/hooks";
import type { TaskSummary } from "../api";
import { grouped } from "../format";
import { useText } from "../i18n";
import { useKeys } from "../keys";
import { taskHref } from "../route";
import { Name } from "../shell/Name";
import { TaskStanding } from "../shell/Standing";
import { Age, Took } from "../shell/Time";
import { text } from "../text";

export function TaskTable({ tasks }: { tasks: readonly TaskSummary[] }) {
  const words = useText(text);
  const body = useRef<HTMLTableSectionElement>(null);
  useKeptFocus(body);
  const step = (by: number) => () => focusBeside(body.current, by);
  useKeys(words.keysList, [
    { keys: ["j", "ArrowDown"], label: words.keyDown, run: step(1) },
    { keys: ["k", "ArrowUp"], label: words.keyUpList, run: step(-1) },
    { keys: ["Enter", "o"], label: words.keyOpen, run: () => focused(body.current)?.click() },
  ]);
  return (
    <table class="tasks">
      <thead>
        <tr>
          <th scope="col">{words.state}</th>
          <th scope="col">{words.task}</th>
          <th scope="col" class="number">
            {words.workers}
          </th>
          <th scope="col" class="number wide">
            {words.lines}
          </th>
          <th scope="col" class="number wide">
            {words.took}
          </th>
          <th scope="col" class="number">
            {words.activity}
          </th>
        </tr>
      </thead>
      <tbody ref={body}>
        {tasks.map((task) => (
          <TaskRow task={task} key={task.task_id} />
        ))}
      </tbody>
    </table>
  );
}

function TaskRow({ task }: { task: TaskSummary }) {
  return (
    <tr>
      <td>
        <TaskStanding task={task} />
      </td>
      <td class="name">
        <a href={taskHref(task.task_id)} title={task.task_id}>
          <Name of={task.task_id} />
        </a>
      </td>
      <td class="number">{grouped(task.workers)}</td>
      <td class="number wide">{grouped(task.lines)}</td>
      <td class="number wide">
        <Took from={task.created_at} to={task.open > 0 ? null : task.updated_at} />
      </td>
      <td class="number quiet">
        <Age of={task.updated_at} />
      </td>
    </tr>
  );
}

function links(body: HTMLElement | null): HTMLAnchorElement[] {
  return body ? [...body.querySelectorAll<HTMLAnchorElement>("td.name > a")] : [];
}

function focused(body: HTMLElement | null): HTMLAnchorElement | undefined {
  return links(body).find((link) => link === document.activeElement);
}

function focusBeside(body: HTMLElement | null, by: number): void {
  const all = links(body);
  const at = all.findIndex((link) => link.matches(":focus"));
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1);
  const link = all[next];
  link?.focus({ preventScroll: true });
  link?.closest("tr")?.scrollIntoView({ block: "nearest" });
}

/** A row that moves in the document loses the focus to nobody: then it gets it back. */
function useKeptFocus(body: { current: HTMLElement | null }): void {
  const last = useRef<HTMLElement | null>(null);
  useLayoutEffect(() => {
    const remember = (event: Event) => {
      const target = event.target instanceof HTMLElement ? event.target : null;
      last.current = target && body.current?.contains(target) ? target.closest<HTMLElement>("td.name > a") : null;
    };
    const heard = new AbortController();
    document.addEventListener("focusin", remember, heard);
    document.addEventListener("pointerdown", remember, heard);
    return () => heard.abort();
  }, [body]);
  useLayoutEffect(() => {
    if (document.activeElement === document.body && last.current?.isConnected)
      last.current.focus({ preventScroll: true });
  });
}
