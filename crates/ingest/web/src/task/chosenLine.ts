/** The line that is chosen by key in a timeline: the one whose number, a link to the line in its log, has the focus. */

const NUMBER = ".timeline-number";
/** Of a line that is read out. */
const SAID_CHARACTERS = 200;

export function chosenLine(timeline: Element | null): HTMLElement | null {
  return timeline?.querySelector<HTMLElement>(`${NUMBER}:focus`) ?? null;
}

/** Chooses the line so many rows from the chosen one, or else the first that is seen; whether there is one. */
export function chooseLine(timeline: Element, by: number): boolean {
  const numbers = [...timeline.querySelectorAll<HTMLElement>(NUMBER)];
  const chosen = chosenLine(timeline);
  const { top } = timeline.getBoundingClientRect();
  const next = chosen
    ? numbers[numbers.indexOf(chosen) + by]
    : numbers.find((number) => number.getBoundingClientRect().top >= top);
  if (!next) return false;
  const row = next.closest<HTMLElement>(".timeline-row");
  // Made only where it is needed: there are thousands of rows.
  next.setAttribute("aria-label", spoken(row, next));
  next.focus({ preventScroll: true });
  row?.scrollIntoView({ block: "nearest" });
  return true;
}

/** The worker, the number, and the line itself: who cannot see hears which one it is. */
function spoken(row: HTMLElement | null, number: HTMLElement): string {
  const text = row?.querySelector(".timeline-text")?.textContent ?? "";
  return `${row?.title} ${number.textContent}: ${text.slice(0, SAID_CHARACTERS)}`;
}
