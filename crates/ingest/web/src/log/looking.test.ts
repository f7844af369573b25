import { expect, test } from "vitest";
import { Looking, type Resized } from "./looking";

const DRAWN = { row: 10, px: 4 };
const shrunk: Resized = { told: DRAWN, drawn: DRAWN, from: 600, to: 560, covered: 36 };
const grown: Resized = { told: DRAWN, drawn: { row: 10, px: 40 }, from: 560, to: 600, covered: -4 };

test("a smaller window goes on as far as it covers the line, and back once it is as high again", () => {
  const looking = new Looking();
  expect(looking.resized(shrunk)).toEqual({ row: 10, px: 40 });
  expect(looking.resized(grown)).toEqual(DRAWN);
  expect(looking.resized(grown)).toBeNull();
});

test("a window that shrinks twice comes back to where it was at first, and not before it is as high as then", () => {
  const looking = new Looking();
  looking.resized(shrunk);
  const again = { told: { row: 10, px: 40 }, drawn: { row: 10, px: 40 }, from: 560, to: 500, covered: 60 };
  expect(looking.resized(again)).toEqual({ row: 10, px: 100 });
  expect(looking.resized({ ...grown, from: 500, to: 560 })).toBeNull();
  expect(looking.resized(grown)).toEqual(DRAWN);
});

test("a line that is seen moves nothing", () => {
  expect(new Looking().resized({ ...shrunk, covered: 0 })).toBeNull();
});

test("whoever has gone elsewhere does not come back", () => {
  const looking = new Looking();
  looking.resized(shrunk);
  looking.left();
  expect(looking.resized(grown)).toBeNull();
});

test("the line that was looked at first is looked for once lines have another shape, and only once", () => {
  const looking = new Looking();
  looking.reshaped({ sequence: 12, row: 11 });
  looking.reshaped({ sequence: 99, row: 98 });
  expect(looking.lost()).toEqual({ sequence: 12, row: 11 });
  expect(looking.lost()).toBeNull();
});

test("whoever has gone elsewhere does not look for it any more, and who stays does", () => {
  const looking = new Looking();
  looking.reshaped({ sequence: 12, row: 11 });
  looking.stays();
  expect(looking.lost()).toEqual({ sequence: 12, row: 11 });
  looking.reshaped({ sequence: 12, row: 11 });
  looking.left();
  expect(looking.lost()).toBeNull();
});
