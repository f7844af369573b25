/** What a view of a log begins with. */

import type { WorkerState } from "../api";
import type { Server } from "./live";
import type { Place } from "./place";
import type { Range } from "./rows";

export interface Start {
  /** What is known of the worker already. */
  readonly known: WorkerState | null;
  readonly tail: Server["tail"];
  /** The lines that the address names. */
  readonly chosen: Range | null;
  /** Where it was left. */
  readonly place: Place | null;
  /** It is left there, unless somebody goes on. */
  readonly remember: (place: Place) => void;
  /** There is another log under this name. */
  readonly renewed: (state: WorkerState) => void;
}
