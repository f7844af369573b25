/** What the browser's selection copies from a log: the text of its rows, one a line, without numbers, times and buttons. */

/** What stands in a row's text and is not the log's. */
const OURS = ".log-action, .log-sign, .log-took, .log-folded, .log-arrow, .log-missing";

/** The selected text of rows; nothing where no row is selected. */
export function selectedText(root: Element, selection: Selection): string | null {
  if (selection.isCollapsed || selection.rangeCount === 0) return null;
  const range = selection.getRangeAt(0);
  const texts = [...root.querySelectorAll(".log-text")].filter((text) => range.intersectsNode(text));
  if (texts.length === 0 || !root.contains(range.commonAncestorContainer)) return null;
  return texts.map((text) => within(range, text)).join("\n");
}

/** Whether anything of the log is selected. */
export function isSelected(root: Element, selection: Selection | null): boolean {
  return selection !== null && !selection.isCollapsed && root.contains(selection.anchorNode);
}

function within(range: Range, text: Element): string {
  const part = document.createRange();
  part.selectNodeContents(text);
  if (range.compareBoundaryPoints(Range.START_TO_START, part) > 0)
    part.setStart(range.startContainer, range.startOffset);
  if (range.compareBoundaryPoints(Range.END_TO_END, part) < 0) part.setEnd(range.endContainer, range.endOffset);
  const copy = part.cloneContents();
  for (const ours of copy.querySelectorAll(OURS)) ours.remove();
  return copy.textContent ?? "";
}
