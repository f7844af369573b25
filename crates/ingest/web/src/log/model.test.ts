import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { WorkerState } from "../api";
import { applyLanguage } from "../i18n";
import { language } from "../settings";
import { Log } from "./model";

const state = (created_at: string, last_sequence: number, state: "open" | "closed" = "open") =>
  ({ worker_id: "w", state, created_at, last_sequence }) as WorkerState;
const FIRST = "2026-01-01T00:00:00Z";
const LATER = "2026-01-02T00:00:00Z";

let log: Log;
let said: WorkerState;
const told = { changed: vi.fn(), read: vi.fn(), renewed: vi.fn() };

/** A log of a server that says this of the worker, and has no lines. */
function opened(known: WorkerState, then: WorkerState): void {
  said = then;
  vi.stubGlobal("fetch", async (address: string) => {
    if (address.includes("/outline")) return Response.json({ code: "not_found", message: "" }, { status: 404 });
    return address.includes("/logs") ? new Response("") : Response.json(said);
  });
  const tail = () => ({ addEventListener: () => {}, close: () => {} });
  log = new Log("w", tail, told, () => []);
  log.open(known);
}

beforeEach(() => {
  vi.stubGlobal("document", { hidden: false });
  told.renewed.mockClear();
});
afterEach(() => {
  log.close();
  vi.unstubAllGlobals();
});

test("another log under the same name is told, and nothing of it mixed with what is known", async () => {
  opened(state(FIRST, 500), state(LATER, 3));
  await vi.waitFor(() => expect(told.renewed).toHaveBeenCalledWith(state(LATER, 3)));
  expect(log.worker).toEqual(state(FIRST, 500));
});

test("the same log that has grown is no other", async () => {
  opened(state(FIRST, 500), state(FIRST, 600));
  await vi.waitFor(() => expect(log.end).toBe(600));
  expect(told.renewed).not.toHaveBeenCalled();
});

test("what others were told of a log counts where it is later", async () => {
  opened(state(LATER, 5), state(LATER, 5));
  log.hear(state(FIRST, 500));
  expect(told.renewed).not.toHaveBeenCalled();
  log.hear(state("2026-01-03T00:00:00Z", 1));
  expect(told.renewed).toHaveBeenCalledTimes(1);
});

test("a closed log whose lines are gone is looked at again", async () => {
  opened(state(FIRST, 500, "closed"), state(FIRST, 500, "closed"));
  await vi.waitFor(() => expect(log.connection).toBe("ended"));
  said = state(LATER, 3, "closed");
  log.cache.want([[400, 400]], 500, true);
  await vi.waitFor(() => expect(told.renewed).toHaveBeenCalledWith(state(LATER, 3, "closed")));
});

test("why there is no connection is said in the language of the page, and not in the browser's words", async () => {
  vi.stubGlobal("navigator", { languages: ["ko"] });
  vi.stubGlobal("window", new EventTarget());
  applyLanguage({} as HTMLElement);
  opened(state(FIRST, 500), state(FIRST, 500));
  vi.stubGlobal("fetch", vi.fn().mockRejectedValue(new TypeError("Failed to fetch")));
  log.retry();
  await vi.waitFor(() => expect(log.connection).toBe("reconnecting"));
  expect(log.trouble).toBe("log-ingest가 응답하지 않습니다");
  language.set("en");
  log.retry();
  await vi.waitFor(() => expect(log.trouble).toBe("log-ingest does not answer"));
  language.set("system");
});
