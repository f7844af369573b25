/**
 * Where in the log the window is, and what the scroll bar has to do with it. Pure: pixels and rows in, pixels and rows out.
 *
 * The window is drawn from an anchor, a row and pixels into it, and no browser's limit on heights matters. A small move of
 * the scroller moves the anchor by as many pixels; a large one (a dragged bar) is a place in the whole. Afterwards the
 * scroller is put where the anchor belongs, so that the bar never says something else for long.
 */

export interface Anchor {
  /** The row at the top of the window. */
  readonly row: number;
  /** Pixels of it above the window; less than 0 or more than its height only until it has been drawn. */
  readonly px: number;
}

export interface Extent {
  readonly rows: number;
  /** What a row takes, on the average. */
  readonly rowHeight: number;
  /** What a row takes at least. */
  readonly lineHeight: number;
  readonly viewport: number;
}

/** Browsers take elements of 16,000,000 px and more; on scaled displays half of that. */
export const MAX_SPACER = 8_000_000;

/** What a wheel, a finger or PageDown moves at once, in windows; a move beyond it is a dragged bar. */
const SMALL = 3;

export function spacerHeight(extent: Extent): number {
  return Math.min(MAX_SPACER, Math.max(extent.viewport, Math.ceil(extent.rows * extent.rowHeight)));
}

/** Pixels that the scroller can be scrolled. */
export function range(extent: Extent): number {
  return spacerHeight(extent) - extent.viewport;
}

/** Wherever the end will be once it is drawn. */
export const END: Anchor = { row: Number.POSITIVE_INFINITY, px: 0 };

/** At the end of the log, whatever the last rows take. */
export function end(extent: Extent): Anchor {
  return { row: extent.rows, px: -extent.viewport };
}

export const START: Anchor = { row: 0, px: 0 };

/** Whether it is the end, or behind it; not what a person has moved up from there. */
export function isEnd(anchor: Anchor, { rows, viewport }: Extent): boolean {
  return anchor.row > rows || (anchor.row === rows && anchor.px >= -viewport);
}

/** The anchor so many pixels on. One that is not drawn yet, and behind the end, is the end. */
export function moved(anchor: Anchor, by: number, extent: Extent): Anchor {
  const { row, px } = isEnd(anchor, extent) ? end(extent) : anchor;
  return { row, px: px + by };
}

/** The anchor after the scroller went from one place to another. */
export function scrolled(anchor: Anchor, from: number, to: number, extent: Extent): Anchor {
  const by = to - from;
  if (Math.abs(by) > SMALL * extent.viewport) return at(to, extent);
  const { row, px } = moved(anchor, by, extent);
  // What is moved past unseen need not be drawn to be measured.
  const past = Math.abs(by) > extent.viewport ? Math.trunc(by / extent.rowHeight) : 0;
  const after = Math.max(0, Math.min(row + past, extent.rows));
  return { row: after, px: px - (after - row) * extent.rowHeight };
}

/** The anchor that belongs to a place of the scroller. */
export function at(scrollTop: number, extent: Extent): Anchor {
  const whole = range(extent);
  if (scrollTop <= 0 || whole <= 0) return START;
  if (scrollTop >= whole - 1) return end(extent);
  const top = (scrollTop / whole) * (extent.rows - extent.viewport / extent.rowHeight);
  const row = Math.max(0, Math.floor(top));
  return { row, px: Math.max(0, top - row) * extent.rowHeight };
}

/** What is below the window. */
export interface Below {
  /** Rows that are not seen at all. */
  readonly rows: number;
  /** Pixels of the row that is cut. */
  readonly px: number;
  /** Of the rows that are not seen, those that are drawn. */
  readonly drawn: number;
}

/** What is below the window, by the heights of the rows that are drawn from the anchor's on. */
export function below(anchor: Anchor, heights: readonly number[], extent: Extent): Below {
  let bottom = -anchor.px;
  let seen = 0;
  while (seen < heights.length && bottom < extent.viewport) {
    bottom += heights[seen] ?? 0;
    seen += 1;
  }
  const rows = Math.max(0, extent.rows - anchor.row - seen);
  return { rows, px: Math.max(0, bottom - extent.viewport), drawn: heights.length - seen };
}

/** The place of the scroller that belongs to a drawn anchor. Where there is more to scroll to, so much is left at least. */
export function placeOf(anchor: Anchor, rest: Below, extent: Extent): number {
  const whole = range(extent);
  const above = anchor.row * extent.lineHeight + anchor.px;
  const left = rest.rows * extent.lineHeight + rest.px;
  if (above <= 0) return 0;
  if (left < 1) return whole;
  const top = anchor.row + anchor.px / extent.rowHeight;
  const place = (top / Math.max(1, extent.rows - extent.viewport / extent.rowHeight)) * whole;
  // Near an edge the distance to it is known; farther away a wheel's worth must be left.
  const room = Math.min(whole / 2, SMALL * extent.viewport);
  return Math.round(Math.max(Math.min(above, room), Math.min(place, whole - Math.min(left, room))));
}

/** The first row that has to be drawn to know what lies `-px` pixels above a row. */
export function firstNeeded(anchor: Anchor, extent: Extent): number {
  const above = anchor.px < 0 ? Math.ceil(-anchor.px / extent.lineHeight) : 0;
  return Math.max(0, Math.min(anchor.row - above, extent.rows - 1));
}

/** The anchor with its pixels inside its row, now that the heights of the rows from `first` on are known. */
export function settled(anchor: Anchor, first: number, heights: readonly number[]): Anchor {
  let px = anchor.px;
  for (let row = first; row < anchor.row; row += 1) px += heights[row - first] ?? 0;
  let row = first;
  while (row - first < heights.length - 1 && px >= (heights[row - first] ?? 0)) {
    px -= heights[row - first] ?? 0;
    row += 1;
  }
  return { row, px: Math.max(0, px) };
}
