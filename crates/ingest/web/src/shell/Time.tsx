/** Times that move on. */

import { useNow } from "../clock";
import { age, duration } from "../format";
import { useLanguage } from "../i18n";
import { full } from "../log/time";

/** How long ago, with the time itself as its title. */
export function Age({ of }: { of: string }) {
  const language = useLanguage();
  return (
    <time dateTime={of} title={full(of, "local")}>
      {age(of, useNow(), language)}
    </time>
  );
}

/** How long something took, or has been taking. */
export function Took({ from, to }: { from: string; to: string | null }) {
  const language = useLanguage();
  const now = useNow();
  const end = to === null ? now : Date.parse(to);
  return <span class="number">{duration(Math.max(0, end - Date.parse(from)), language)}</span>;
}
