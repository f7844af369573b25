import { afterEach, expect, test, vi } from "vitest";
import { lineStream } from "./lines";

afterEach(() => vi.unstubAllGlobals());

const asked = (response: Response) => {
  const fetch = vi.fn().mockResolvedValue(response);
  vi.stubGlobal("fetch", fetch);
  return { fetch, stream: lineStream("a/b", 5, 2, new AbortController().signal) };
};

test("lines are asked for by number and come as they are sent", async () => {
  const { fetch, stream } = asked(new Response("{}\n{}\n"));
  expect(await new Response(await stream).text()).toBe("{}\n{}\n");
  expect(fetch.mock.calls[0]?.[0]).toBe("/api/v1/workers/a%2Fb/logs?from=5&limit=2");
});

test("a server that has no time says when to come again", async () => {
  const body = { code: "too_many_readers", message: "come back later" };
  const { stream } = asked(Response.json(body, { status: 503, headers: { "Retry-After": "7" } }));
  await expect(stream).rejects.toMatchObject({ ...body, status: 503, retryAfterMs: 7_000, isTransient: true });
});
