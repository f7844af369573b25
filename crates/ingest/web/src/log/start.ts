/** What a view of a log begins with. */

import type { WorkerState } from "../api";
import type { Server } from "./live";

export interface Start {
  /** What is known of the worker already. */
  readonly known: WorkerState | null;
  readonly tail: Server["tail"];
  /** There is another log under this name. */
  readonly renewed: (state: WorkerState) => void;
}
