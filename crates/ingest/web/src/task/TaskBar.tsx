/** The workers of a task, and the ways to show them. */

import type { Task, WorkerState } from "../api";
import { useText } from "../i18n";
import { Segments } from "../shell/Segments";
import { text } from "../text";
import { failedAmong, NextFailed } from "./NextFailed";
import { WorkerTabs } from "./WorkerTabs";
import type { Shown, Way } from "./way";

interface Props {
  task: Task;
  shown: Shown;
  onWay: (way: Way) => void;
  onChoose: (worker: WorkerState) => void;
  onFailed: () => void;
}

export function TaskBar({ task, shown, onWay, onChoose, onFailed }: Props) {
  const words = useText(text);
  return (
    <div class="task-bar">
      <WorkerTabs workers={task.workers} shown={shown} onChoose={onChoose} />
      <Segments
        label={words.ways}
        value={shown.way}
        onChoose={onWay}
        choices={[
          { value: "tabs", label: words.asTabs },
          { value: "side", label: words.asSide },
          { value: "time", label: words.asTime },
        ]}
      />
      {/* Where there is no room for the summary, which has it otherwise. */}
      {failedAmong(task) && <NextFailed task={task} onFailed={onFailed} />}
    </div>
  );
}
