import { afterEach, describe, expect, it, vi } from "vitest";
import * as api from "./api";
import { lineStream } from "./log/lines";

const answer = (response: Response | Error) =>
  vi.stubGlobal(
    "fetch",
    vi.fn(async (_address: string, _init?: RequestInit) => {
      if (response instanceof Error) throw response;
      return response;
    }),
  );

afterEach(() => vi.unstubAllGlobals());

async function refusalOf(promise: Promise<unknown>): Promise<api.ApiError> {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof api.ApiError)) throw new Error(`no refusal: ${error}`);
  return error;
}

describe("a question", () => {
  it("has its names and its query encoded, and leaves out what is not asked for", async () => {
    answer(Response.json({ tasks: [], total: 0 }, { headers: { etag: '"1"' } }));
    const told = await api.tasks({ q: "a&b=c", state: undefined, order: "failed", limit: 5 }, { etag: '"0"' });
    expect(told).toEqual({ value: { tasks: [], total: 0 }, etag: '"1"' });
    expect(fetch).toHaveBeenCalledWith("/api/v1/tasks?q=a%26b%3Dc&order=failed&limit=5", {
      cache: "no-store",
      headers: { "If-None-Match": '"0"' },
      signal: expect.any(AbortSignal),
    });
    expect(api.textUrl("a/b ?#", { from: 3, to: 9 })).toBe("/api/v1/workers/a%2Fb%20%3F%23/log.txt?from=3&to=9");
    expect(api.tailUrl("W", 7)).toBe("/api/v1/workers/W/tail?from=7&batch=true");
  });

  it("whose answer has not changed says so", async () => {
    answer(new Response(null, { status: 304 }));
    expect(await api.task("T", { etag: '"1"' })).toBe("unchanged");
  });
});

describe("a question without an answer", () => {
  it.each([
    ["of the API", () => api.task("T")],
    ["for lines", () => lineStream("W", 1, 10, new AbortController().signal)],
  ])("%s is given up after a while", async (_, ask) => {
    const late = new AbortController();
    vi.spyOn(AbortSignal, "timeout").mockReturnValue(late.signal);
    vi.stubGlobal("fetch", (_address: string, { signal }: { signal: AbortSignal }) => {
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    });
    const refused = refusalOf(ask());
    late.abort(new DOMException("signal timed out", "TimeoutError"));
    expect(await refused).toMatchObject({ code: "unreachable", isTransient: true });
    vi.restoreAllMocks();
  });

  it("says the server's code, message and wait", async () => {
    const body = { code: "too_many_searches", message: "too many searches" };
    answer(Response.json(body, { status: 503, headers: { "retry-after": "2" } }));
    const error = await refusalOf(api.search("W", { q: "x" }));
    expect(error).toMatchObject({ status: 503, retryAfterMs: 2000, isTransient: true, ...body });
  });

  it("is not asked again where the server knows no such thing", async () => {
    answer(Response.json({ code: "not_found", message: "worker W is not known" }, { status: 404 }));
    expect((await refusalOf(api.worker("W"))).isTransient).toBe(false);
  });

  it.each([
    ["the network is down", new TypeError("Failed to fetch"), 0],
    ["a proxy speaks for the server", new Response("<h1>Bad Gateway</h1>", { status: 502 }), 502],
    ["it has no route to it", new Response("404 page not found", { status: 404 }), 404],
    ["it says so in JSON", Response.json({ message: "no Route matched with those values" }, { status: 404 }), 404],
    ["its code is a number", Response.json({ code: 5, message: "Not Found" }, { status: 404 }), 404],
    ["its code is of another form", Response.json({ code: "AccessDenied", message: "" }, { status: 403 }), 403],
    ["its JSON is no object", Response.json(null, { status: 403 }), 403],
    ["it wants to know who asks", new Response("<h1>Sign in</h1>", { status: 401 }), 401],
    ["the answer is cut off", new Response('{"tasks": [', { status: 200 }), 0],
  ])("is `unreachable` where %s", async (_, response, status) => {
    answer(response);
    const error = await refusalOf(api.tasks({}));
    expect(error).toMatchObject({ code: "unreachable", status, isTransient: true });
  });

  it("is none of these where it was called off", async () => {
    const life = new AbortController();
    life.abort();
    answer(new DOMException("aborted", "AbortError"));
    await expect(api.task("T", { signal: life.signal })).rejects.toSatisfy(api.isAborted);
  });
});
