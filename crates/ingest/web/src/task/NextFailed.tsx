/** How many workers failed, and the way to the next of them. */

import type { Task } from "../api";
import { useText } from "../i18n";
import { TaskStanding } from "../shell/Standing";
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

export function NextFailed({ task, onFailed }: Props) {
  const words = useText(text);
  return (
    <button type="button" class="button" title={`${words.keyNextFailed} (F)`} onClick={onFailed}>
      <TaskStanding task={{ ...task, workers: task.workers.length }} />
    </button>
  );
}
