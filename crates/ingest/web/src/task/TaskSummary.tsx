/** How a task stands, in a few words. */

import type { Task } from "../api";
import { grouped } from "../format";
import { useText } from "../i18n";
import { TaskStanding } from "../shell/Standing";
import { Took } from "../shell/Time";
import { text } from "../text";
import { failedAmong, NextFailed } from "./NextFailed";

interface Props {
  task: Task;
  onFailed: () => void;
}

export function TaskSummary({ task, onFailed }: Props) {
  const words = useText(text);
  return (
    <>
      {failedAmong(task) ? (
        <NextFailed task={task} onFailed={onFailed} />
      ) : (
        <TaskStanding task={{ ...task, workers: task.workers.length }} />
      )}
      <Took from={task.created_at} to={task.open > 0 ? null : task.updated_at} />
      <span class="quiet number">{task.lines === 1 ? words.lineCountOne : words.lineCount(grouped(task.lines))}</span>
    </>
  );
}
