/** How a task stands, in a few words. */

import type { Task } from "../api";
import { count } from "../format";
import { useLanguage, useText } from "../i18n";
import { TaskStanding } from "../shell/Standing";
import { Took } from "../shell/Time";
import { text } from "../text";

/** Whether it is worth a way of its own to those that failed. */
export function failedAmong(task: Task): boolean {
  return task.failed > 0 && task.workers.length > 1;
}

interface Props {
  task: Task;
  /** Goes to the next worker that failed. */
  onFailed: () => void;
}

export function TaskSummary({ task, onFailed }: Props) {
  const words = useText(text);
  const language = useLanguage();
  const standing = <TaskStanding task={{ ...task, workers: task.workers.length }} />;
  return (
    <>
      {failedAmong(task) ? (
        <button type="button" class="button" title={`${words.keyNextFailed} (F)`} onClick={onFailed}>
          {standing}
        </button>
      ) : (
        standing
      )}
      <Took from={task.created_at} to={task.open > 0 ? null : task.updated_at} />
      <span class="quiet number">
        {task.lines === 1 ? words.lineCountOne : words.lineCount(count(task.lines, language))}
      </span>
    </>
  );
}
