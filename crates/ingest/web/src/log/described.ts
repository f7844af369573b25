/** What a row shows, from all that is known of its line. */

import { PLAIN } from "./ansi";
import type { Group } from "./groups";
import type { Opened } from "./opened";
import type { RowView } from "./row";
import * as settings from "./settings";
import { shown } from "./time";
import type { View } from "./view";

/** Of a line, and of the one in the row above it. */
export function described(view: View, opened: Opened, sequence: number, above: number | null): RowView {
  const { log, around, choice } = view;
  const entry = log.get(sequence);
  const group = log.groups.startingAt(sequence);
  const folded = group !== undefined && log.groups.isFolded(group);
  const hit = log.search?.hits.has(sequence) ?? false;
  return {
    sequence,
    entry,
    style: entry?.kind === "line" ? log.styleOf(sequence) : PLAIN,
    href: around.href,
    time: timeOf(view, sequence, above, group),
    zone: settings.zone.value,
    selected: choice.has(sequence),
    hit,
    current: sequence === choice.cursor,
    query: (hit && log.search?.query) || null,
    mark: log.markOf(sequence),
    group,
    folded,
    hidden: group && folded ? Math.min(group.last ?? log.end, log.end) - group.first : 0,
    depth: log.groups.depthOf(sequence),
    characters: opened.characters(sequence),
    whole: opened.whole(sequence),
    history: opened.history(sequence),
    texts: around.texts,
    reason: around.reason,
  };
}

function timeOf(view: View, sequence: number, above: number | null, group: Group | undefined): string {
  const times = settings.times.value;
  const time = times === "off" ? undefined : (momentOf(view, sequence) ?? group?.started_at);
  if (time === undefined) return "";
  const before = above === null ? undefined : momentOf(view, above);
  const moments = { time, start: view.log.worker?.created_at ?? time, before: before ?? null };
  return shown(moments, times, settings.zone.value);
}

/** When a line that is here came. */
function momentOf({ log }: View, sequence: number): string | undefined {
  const entry = log.get(sequence);
  return entry?.kind === "line" ? entry.timestamp : undefined;
}
