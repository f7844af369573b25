import { expect, it } from "vitest";
import { MOST_CHARACTERS, type Taken, Waiting } from "./Waiting";

const text = (first: number, number: number) =>
  JSON.stringify(Array.from({ length: number }, (_, at) => ({ worker_id: "w", sequence: first + at })));
const sequences = ({ batches }: Taken) => batches.flatMap(({ lines }) => lines.map(({ sequence }) => sequence));

function filled(batches: number, lines: number): Waiting {
  const waiting = new Waiting();
  for (let at = 0; at < batches; at += 1) waiting.push(text(at * lines + 1, lines), `c${at * lines}`);
  return waiting;
}

it("who follows is given the last lines, in order, and is told that others were before them", () => {
  const waiting = filled(100, 64);
  const taken = waiting.latest();
  expect(sequences(taken)).toEqual(Array.from({ length: 256 }, (_, at) => 6_145 + at));
  expect(taken).toMatchObject({ isWhole: false, batches: [{ before: "c6144" }, {}, {}, {}] });
  expect(waiting.isEmpty).toBe(true);
  waiting.push(text(6_401, 1), "c6400");
  expect(waiting.latest()).toMatchObject({ isWhole: true, batches: [{ before: "c6400" }] });
});

it("who reads is given all of them, a frame's worth after the other", () => {
  const waiting = filled(10, 64);
  const taken: Taken[] = [];
  while (!waiting.isEmpty) taken.push(waiting.next());
  expect(taken.map((one) => sequences(one).length)).toEqual([256, 256, 128]);
  expect(taken.flatMap(sequences)).toEqual(Array.from({ length: 640 }, (_, at) => at + 1));
  expect(taken.every(({ isWhole }) => isWhole)).toBe(true);
});

it("what waits is bounded, and that something went is told", () => {
  const waiting = new Waiting();
  const long = JSON.stringify([{ sequence: 1, message: "x".repeat(MOST_CHARACTERS / 4) }]);
  for (let at = 0; at < 10; at += 1) waiting.push(long, null);
  expect(waiting.isFull).toBe(false);
  const taken = waiting.next();
  expect(taken.isWhole).toBe(false);
  expect(taken.batches).toHaveLength(3);
  waiting.clear();
  expect(waiting.next()).toEqual({ batches: [], isWhole: true });
});
