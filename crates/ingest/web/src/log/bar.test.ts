import { beforeEach, expect, test } from "vitest";
import type { Extent } from "./anchor";
import { Bar, moveFrom } from "./bar";

const extent = (rows: number): Extent => ({ rows, rowHeight: 20, lineHeight: 20, viewport: 600 });

/** A scroller as browsers have it: nothing beyond its range. */
class Scroller {
  height = 0;
  clientHeight = 600;
  #top = 0;

  get scrollHeight(): number {
    return Math.max(this.height, this.clientHeight);
  }

  get scrollTop(): number {
    return Math.min(this.#top, this.scrollHeight - this.clientHeight);
  }

  set scrollTop(top: number) {
    this.#top = Math.max(0, top);
    this.#top = this.scrollTop;
  }
}

let scroller: Scroller;
let bar: Bar;

beforeEach(() => {
  scroller = new Scroller();
  const style = {
    setProperty: (_: string, height: string) => {
      scroller.height = Number.parseInt(height, 10);
    },
  };
  bar = new Bar(scroller as unknown as HTMLElement, { style } as unknown as HTMLElement);
  bar.stretch(extent(1_000));
});

test("what a person moves is told once, and what the page moves is not", () => {
  scroller.scrollTop = 90;
  expect(bar.isMoving).toBe(true);
  expect(bar.moved()).toEqual({ from: 0, to: 90 });
  expect([bar.moved(), bar.isMoving]).toEqual([null, false]);
  bar.put(5_000);
  expect([bar.moved(), scroller.scrollTop]).toEqual([null, 5_000]);
});

test("less than a pixel is kept until it is one", () => {
  scroller.scrollTop = 0.6;
  expect(bar.moved()).toBeNull();
  scroller.scrollTop = 1.2;
  expect(bar.moved()).toEqual({ from: 0, to: 1.2 });
});

test("a window that grows at the end of the log is nobody's scroll, and what is scrolled with it counts", () => {
  bar.put(19_400);
  scroller.clientHeight = 640;
  expect(scroller.scrollTop).toBe(19_360);
  expect(bar.moved()).toBeNull();
  bar.put(19_360);
  scroller.clientHeight = 700;
  scroller.scrollTop = 19_200;
  expect(bar.moved()).toEqual({ from: 19_300, to: 19_200 });
});

test("a log that becomes shorter moves it, which is nobody's wish", () => {
  bar.put(19_400);
  bar.stretch(extent(500));
  expect([bar.moved(), scroller.scrollTop, bar.isAtEdge(extent(500))]).toEqual([null, 9_400, true]);
  bar.put(9_000);
  expect(bar.isAtEdge(extent(500))).toBe(false);
});

test("steps of less than a pixel make a move together", () => {
  let place = 100;
  const moves: number[] = [];
  for (let step = 1; step <= 6; step += 1) {
    const { from, to } = moveFrom(place, { scrollTop: 100 - step / 3, scrollHeight: 1_000, clientHeight: 600 });
    place = to;
    if (from !== to) moves.push(step);
  }
  expect(moves).toEqual([3, 6]);
});

test("where there is less to scroll to the browser has moved it, and nobody else", () => {
  const less = moveFrom(400, { scrollTop: 300, scrollHeight: 900, clientHeight: 600 });
  expect(less).toEqual({ from: 300, to: 300 });
  expect(moveFrom(less.to, { scrollTop: 300, scrollHeight: 1_000, clientHeight: 600 })).toEqual({ from: 300, to: 300 });
});

test("a finer hand is noted where it is asked for, and never what the browser rounds at an end", () => {
  const at = (scrollTop: number, scrollHeight: number) => ({ scrollTop, scrollHeight, clientHeight: 600 });
  expect(moveFrom(399.7, at(399.1, 1_000), 0.1).to).toBe(399.1);
  expect(moveFrom(399.7, at(399.1, 1_000)).to).toBe(399.7);
  const less = moveFrom(399.7, at(299.6, 900), 0.1);
  expect(less).toEqual({ from: 299.6, to: 299.6 });
  expect(moveFrom(less.to, at(299.6, 900), 0.1)).toEqual(less);
  // It may also stand behind where it tells that the end is.
  const end = moveFrom(300.2, at(300.2, 900), 0.1);
  expect(end).toEqual({ from: 300.2, to: 300.2 });
  expect(moveFrom(300.2, at(280, 900), 0.1)).toEqual({ from: 300, to: 280 });
});
