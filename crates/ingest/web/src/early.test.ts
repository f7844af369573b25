import { expect, test, vi } from "vitest";
import { askFor, taken } from "./early";

test("a worker's log is asked for before there is a page, and the answer is for one", async () => {
  const ask = vi.fn((address: string) => Promise.resolve(new Response(address)));
  askFor("#/workers/build%201?line=3#L3", ask);
  expect(ask.mock.calls.map(([address]) => address)).toEqual([
    "/api/v1/workers/build%201",
    "/api/v1/workers/build%201/outline",
  ]);
  expect(await (await taken("/api/v1/workers/build%201"))?.text()).toBe("/api/v1/workers/build%201");
  expect(taken("/api/v1/workers/build%201")).toBeUndefined();
  expect(taken("/api/v1/workers/other")).toBeUndefined();
});

test("other views ask nothing early", () => {
  const ask = vi.fn(() => Promise.resolve(new Response()));
  for (const hash of ["", "#/", "#/tasks/workers", "#/workers/"]) askFor(hash, ask);
  expect(ask).not.toHaveBeenCalled();
});

test("a failure is told to who takes the answer, and to nobody else", async () => {
  askFor("#/workers/gone", () => Promise.reject(new TypeError("gone")));
  await expect(taken("/api/v1/workers/gone")).rejects.toThrow("gone");
});
