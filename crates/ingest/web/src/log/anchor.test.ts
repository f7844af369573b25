import { expect, test } from "vitest";
import {
  type Anchor,
  at,
  below,
  END,
  type Extent,
  end,
  firstNeeded,
  isEnd,
  MAX_SPACER,
  moved,
  placeOf,
  range,
  START,
  scrolled,
  settled,
  spacerHeight,
} from "./anchor";

const extent = (rows: number, rowHeight = 20): Extent => ({ rows, rowHeight, lineHeight: 20, viewport: 600 });

/** Draws rows that all take as much as the extent says: where the anchor comes to rest. */
function drawn(anchor: Anchor, of: Extent): Anchor {
  const first = firstNeeded(anchor, of);
  const count = Math.min(of.rows - first, anchor.row - first + 400);
  return settled(anchor, first, Array(count).fill(of.rowHeight));
}

const placed = (anchor: Anchor, of: Extent) =>
  placeOf(anchor, below(anchor, Array(Math.min(60, of.rows - anchor.row)).fill(of.rowHeight), of), of);

test("no log makes an element that a browser cannot hold", () => {
  expect(spacerHeight(extent(10_000_000, 60))).toBe(MAX_SPACER);
  expect(spacerHeight(extent(3))).toBe(600);
});

test("a small move is as many pixels, in a log of any length", () => {
  for (const rows of [1_000, 10_000_000]) {
    const moved = scrolled({ row: 50, px: 5 }, 1_000, 1_090, extent(rows));
    expect(drawn(moved, extent(rows))).toEqual({ row: 54, px: 15 });
    expect(drawn(scrolled(moved, 1_090, 1_000, extent(rows)), extent(rows))).toEqual({ row: 50, px: 5 });
  }
});

test("what is told to be at the end can be moved from before it is drawn there", () => {
  const log = extent(20_000);
  for (const by of [-40, -560, -1_200]) {
    const up = { row: 20_000 - 30 + by / 20, px: 0 };
    expect(drawn(moved(END, by, log), log)).toEqual(up);
    expect(drawn(scrolled(END, 5_000, 5_000 + by, log), log)).toEqual(up);
    expect(isEnd(moved(END, by, log), log)).toBe(false);
  }
  const twice = moved(moved(END, -40, log), -60, log);
  expect(drawn(twice, log)).toEqual({ row: 20_000 - 35, px: 0 });
  expect(isEnd(moved(twice, 100, log), log)).toBe(true);
});

test("a move past a window is exact where rows are alike", () => {
  expect(drawn(scrolled({ row: 500, px: 7 }, 0, 1_500, extent(10_000)), extent(10_000))).toEqual({ row: 575, px: 7 });
  expect(drawn(scrolled({ row: 500, px: 7 }, 2_000, 500, extent(10_000)), extent(10_000))).toEqual({ row: 425, px: 7 });
});

test("a dragged bar is a place in the whole", () => {
  const whole = extent(10_000_000);
  expect(scrolled(START, 0, range(whole) / 2, whole).row).toBe(Math.floor((10_000_000 - 30) / 2));
  expect(at(0, whole)).toEqual(START);
  expect(at(range(whole), whole)).toEqual(end(whole));
});

test("where rows fit, each place of the bar is its own pixel", () => {
  const log = extent(5_000);
  for (const place of [1, 777, 50_000, range(log) - 2]) {
    expect(placed(drawn(at(place, log), log), log)).toBe(place);
  }
});

test("the bar goes back to where the anchor belongs", () => {
  const log = extent(10_000_000);
  const middle = { row: 5_000_000, px: 0 };
  expect(Math.abs(placed(middle, log) / range(log) - 0.5)).toBeLessThan(0.001);
});

test("near an edge as much can be scrolled as there is to see", () => {
  const log = extent(10_000_000);
  expect(placed({ row: 10, px: 3 }, log)).toBe(203);
  const atEnd = drawn(end(log), log);
  expect(atEnd).toEqual({ row: 10_000_000 - 30, px: 0 });
  expect(placed(atEnd, log)).toBe(range(log));
  expect(placed({ row: atEnd.row - 2, px: 0 }, log)).toBe(range(log) - 40);
});

test("rows of other heights are settled by what they take", () => {
  expect(settled({ row: 3, px: -50 }, 0, [100, 20, 40, 20])).toEqual({ row: 1, px: 10 });
  expect(settled({ row: 0, px: 130 }, 0, [100, 20, 40, 20])).toEqual({ row: 2, px: 10 });
  expect(settled({ row: 1, px: -500 }, 0, [100, 20])).toEqual({ row: 0, px: 0 });
});

test("what is below the window is told in rows and pixels", () => {
  expect(below({ row: 0, px: 0 }, [500, 200, 20], extent(10))).toEqual({ rows: 8, px: 100, drawn: 1 });
  expect(below({ row: 9, px: 0 }, [20], extent(10))).toEqual({ rows: 0, px: 0, drawn: 0 });
});

test("an empty log rests at its start", () => {
  expect(at(100, extent(0))).toEqual(START);
  expect(placeOf(START, { rows: 0, px: 0, drawn: 0 }, extent(0))).toBe(0);
});
