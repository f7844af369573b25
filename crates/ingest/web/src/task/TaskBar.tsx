/** How a task stands, and the ways to show it. */

import type { Task } from "../api";
import { count } from "../format";
import { useLanguage, useText } from "../i18n";
import { Segments } from "../shell/Segments";
import { TaskStanding } from "../shell/Standing";
import { Took } from "../shell/Time";
import { text } from "../text";
import type { Way } from "./way";

export function TaskBar({ task, way, onWay }: { task: Task; way: Way; onWay: (way: Way) => void }) {
  const words = useText(text);
  const language = useLanguage();
  const lines = task.lines === 1 ? words.lineCountOne : words.lineCount(count(task.lines, language));
  return (
    <div class="task-bar">
      <TaskStanding task={{ ...task, workers: task.workers.length }} />
      <Took from={task.created_at} to={task.open > 0 ? null : task.updated_at} />
      <span class="quiet number">{lines}</span>
      <Segments
        label={words.ways}
        value={way}
        onChoose={onWay}
        choices={[
          { value: "tabs", label: words.asTabs },
          { value: "side", label: words.asSide },
          { value: "time", label: words.asTime },
        ]}
      />
    </div>
  );
}
