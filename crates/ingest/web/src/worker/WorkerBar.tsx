/** What there is to say of a worker: how it stands, since when, and what it waits for or has lost. */

import type { WorkerState } from "../api";
import { useNow } from "../clock";
import { duration, grouped } from "../format";
import { useLanguage, useText } from "../i18n";
import { useReason } from "../reasons";
import { workerHref } from "../route";
import { Name } from "../shell/Name";
import { WorkerStanding } from "../shell/Standing";
import { Took } from "../shell/Time";
import { text } from "../text";
import { isIncomplete, quietFor } from "./standing";
import "./worker.css";

interface Props {
  worker: WorkerState;
  /** A tab says how the worker stands, but has no room for its name; another heading says the name. */
  below?: "heading" | "tab";
}

export function WorkerBar({ worker, below = "heading" }: Props) {
  const words = useText(text);
  const lines = worker.lines === 1 ? words.lineCountOne : words.lineCount(grouped(worker.lines));
  return (
    <div class="worker-bar">
      {below === "tab" ? <NameLink of={worker.worker_id} /> : <WorkerStanding worker={worker} />}
      <Took from={worker.created_at} to={worker.state === "open" ? null : worker.updated_at} />
      {worker.lines > 0 && <span class="quiet number">{lines}</span>}
      {worker.attempt > 1 && <span class="chip">{words.attempt(String(worker.attempt))}</span>}
      <Shortcomings worker={worker} />
      <WaitsFor worker={worker} />
    </div>
  );
}

function NameLink({ of }: { of: string }) {
  return (
    <a class="worker-link" href={workerHref(of)}>
      <Name of={of} />
    </a>
  );
}

function Shortcomings({ worker }: { worker: WorkerState }) {
  const words = useText(text);
  const reason = useReason();
  const lost = worker.lost === 1 ? words.lostOne : words.lost(grouped(worker.lost));
  return (
    <>
      {isIncomplete(worker) && (
        <span class="chip warn">
          {worker.reason ? words.incompleteBecause(reason(worker.reason)) : words.incomplete}
        </span>
      )}
      {worker.lost > 0 && <span class="chip warn">{lost}</span>}
    </>
  );
}

function WaitsFor({ worker }: { worker: WorkerState }) {
  const words = useText(text);
  const language = useLanguage();
  const quiet = quietFor(worker, useNow());
  return quiet === null ? null : <span class="chip">{words.quiet(duration(quiet, language))}</span>;
}
