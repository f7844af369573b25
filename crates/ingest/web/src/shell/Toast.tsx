/** The latest notice. The region is always there: what comes into it is read out. */

import { shownNotice } from "../notices";
import { useCell } from "../store";

export function Toast() {
  const notice = useCell(shownNotice);
  return (
    <div class="toast" role="status" aria-live="polite">
      {notice?.text}
    </div>
  );
}
