import { expect, test } from "vitest";
import { MAX_WAITING, Waiting } from "./waiting";

test("what waits is bounded by lines, whatever the sizes of the batches they come in", () => {
  const waiting = new Waiting();
  for (let line = 1; line <= MAX_WAITING; line += 1) waiting.add(line, `${line}`);
  for (let batch = 2; batch <= 6; batch += 1) waiting.add(batch * MAX_WAITING, `batch ${batch}`);
  expect(waiting.take()).toEqual(["batch 6"]);
  expect(waiting.take()).toEqual([]);
});

test("the last lines are all there", () => {
  const waiting = new Waiting();
  for (let line = 1; line <= 10_000; line += 1) waiting.add(line, `${line}`);
  const taken = waiting.take();
  expect([taken.length, taken[0], taken.at(-1)]).toEqual([MAX_WAITING, "9489", "10000"]);
});
