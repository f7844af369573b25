import { expect, it, vi } from "vitest";
import { answers, onAnswers } from "./answers";

it("who waits hears of the answer, and who waits no more does not", () => {
  const [one, other] = [vi.fn(), vi.fn()];
  const leave = onAnswers(one);
  onAnswers(other);
  answers();
  leave();
  answers();
  expect(one).toHaveBeenCalledTimes(1);
  expect(other).toHaveBeenCalledTimes(2);
});
