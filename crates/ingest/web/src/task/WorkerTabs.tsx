/** The workers of a task in a row: tabs, of which one is shown, or switches, of which a few are. */

import { useEffect, useRef } from "preact/hooks";
import type { WorkerState } from "../api";
import { useText } from "../i18n";
import { Name } from "../shell/Name";
import { WorkerStanding } from "../shell/Standing";
import { text } from "../text";
import { shortNames } from "../worker/standing";
import { Letter } from "./Letter";
import { MOST_BESIDE, type Shown } from "./way";

/** The element that shows the tab's log. */
export const PANEL = "worker-panel";

export function tabId(at: number): string {
  return `worker-tab-${at}`;
}

interface Props {
  workers: readonly WorkerState[];
  shown: Shown;
  onChoose: (worker: WorkerState) => void;
}

export function WorkerTabs({ workers, shown, onChoose }: Props) {
  const words = useText(text);
  const names = shortNames(workers.map(({ worker_id }) => worker_id));
  const list = useRef<HTMLDivElement>(null);
  const asTabs = shown.way === "tabs";
  const latest = shown.workers.at(-1);
  // biome-ignore lint/correctness/useExhaustiveDependencies: another worker is another button.
  useEffect(() => {
    const chosen = latest && list.current?.children[workers.indexOf(latest)];
    chosen?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [latest?.worker_id]);
  return (
    <div
      class="workers"
      ref={list}
      title={shown.way === "side" ? words.chooseWorkers(String(MOST_BESIDE)) : undefined}
      {...{ role: asTabs ? "tablist" : "group", "aria-label": words.workersOf }}
    >
      {workers.map((worker, at) => (
        <button
          type="button"
          key={worker.worker_id}
          id={tabId(at)}
          title={worker.worker_id}
          onClick={() => onChoose(worker)}
          onKeyDown={(event) => asTabs && stepThrough(list.current, event)}
          {...roleOf(shown, worker)}
        >
          {shown.way === "time" && <Letter at={at} />}
          <span class="worker-name">
            <Name of={names[at] ?? worker.worker_id} />
          </span>
          <WorkerStanding worker={worker} />
        </button>
      ))}
    </div>
  );
}

function roleOf({ way, workers }: Shown, worker: WorkerState) {
  const isShown = workers.includes(worker);
  switch (way) {
    case "tabs":
      return {
        role: "tab",
        "aria-selected": isShown,
        "aria-controls": isShown ? PANEL : undefined,
        tabIndex: isShown ? 0 : -1,
      } as const;
    case "side":
      return { "aria-pressed": isShown };
    case "time":
      return {};
  }
}

/** Arrow keys go from tab to tab, and show it. */
function stepThrough(list: HTMLElement | null, event: KeyboardEvent): void {
  const tabs = list ? [...list.querySelectorAll<HTMLElement>("[role=tab]")] : [];
  const at = tabs.findIndex((tab) => tab.matches(":focus"));
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  const tab = to === undefined ? undefined : tabs[to];
  if (at < 0 || !tab) return;
  event.preventDefault();
  tab.focus();
  tab.click();
}
