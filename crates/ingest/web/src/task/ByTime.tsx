import type { Task } from "../api";

export function ByTime({ task }: { task: Task }) {
  return <p class="note">{task.task_id}</p>;
}
