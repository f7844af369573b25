import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { answers } from "../answers";
import { type Held, TaskLog } from "./TaskLog";
import { FOLLOWED, MOST, PIECE } from "./timeline";

/** A connection as the browser makes it, driven by hand. */
class Events {
  static made: Events[] = [];
  onopen?: () => void;
  onmessage?: (event: { data: string; lastEventId: string }) => void;
  onerror?: () => void;
  readonly others = new Map<string, (event: { data: string }) => void>();
  isClosed = false;
  readonly address: string;

  constructor(address: string) {
    this.address = address;
    Events.made.push(this);
  }

  addEventListener(name: string, listener: (event: { data: string }) => void): void {
    this.others.set(name, listener);
  }

  close(): void {
    this.isClosed = true;
  }

  sends(first: number, number: number): void {
    this.onmessage?.({ data: JSON.stringify(lines(first, number)), lastEventId: `c${first + number - 1}` });
  }
}

const lines = (first: number, number: number) =>
  Array.from({ length: number }, (_, at) => ({ worker_id: "w", sequence: first + at, message: "" }));

/** A log that has so many lines; cursors say how many lines are before them. */
function serves(length: number): void {
  vi.stubGlobal(
    "fetch",
    vi.fn(async (address: string) => {
      const cursor = new URL(address, "http://server").searchParams.get("cursor");
      const end = cursor === null ? length : Number(cursor.slice(1));
      const start = Math.max(0, end - PIECE);
      const previous = start > 0 ? `c${start}` : null;
      return Response.json({ lines: lines(start + 1, end - start), previous, next: `c${end}` });
    }),
  );
}

const page = Object.assign(new EventTarget(), { hidden: false });
let held: Held | undefined;
let log: TaskLog;
const tell = (told: Held) => {
  held = told;
};
const now = (): Held => held ?? expect.fail("nothing was told");
const sequences = () => now().timeline.pieces.flatMap((piece) => piece.lines.map(({ sequence }) => sequence));
const connection = (): Events => Events.made.at(-1) ?? expect.fail("there is no connection");

async function opened(length: number): Promise<void> {
  serves(length);
  log = new TaskLog("T", tell);
  await vi.waitUntil(() => Events.made.length > 0);
  connection().onopen?.();
}

beforeEach(() => {
  Events.made = [];
  held = undefined;
  page.hidden = false;
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  vi.stubGlobal("document", page);
  vi.stubGlobal("EventSource", Events);
  vi.stubGlobal("requestAnimationFrame", (draw: () => void) => {
    queueMicrotask(draw);
    return 1;
  });
  vi.stubGlobal("cancelAnimationFrame", () => {});
});

afterEach(() => {
  log.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe("a task's lines", () => {
  it("begin with the end, and go on live from there", async () => {
    await opened(1200);
    expect(connection().address).toBe("/api/v1/tasks/T/tail?cursor=c1200");
    connection().sends(1201, 2);
    connection().sends(1203, 1);
    await vi.waitUntil(() => sequences().at(-1) === 1203);
    expect(sequences()).toEqual(Array.from({ length: PIECE + 3 }, (_, at) => 1200 - PIECE + 1 + at));
    expect(now().status).toBe("live");
  });

  it("go on where they were when the connection breaks: none is missing, none comes twice", async () => {
    await opened(10);
    connection().sends(11, 5);
    connection().onerror?.();
    expect(now().status).toBe("reconnecting");
    expect(Events.made[0]?.isClosed).toBe(true);
    await vi.advanceTimersByTimeAsync(5_000);
    expect(connection().address).toBe("/api/v1/tasks/T/tail?cursor=c15");
    connection().onopen?.();
    connection().sends(16, 1);
    await vi.waitUntil(() => sequences().at(-1) === 16);
    expect(sequences()).toEqual(Array.from({ length: 16 }, (_, at) => at + 1));
    expect(now()).toMatchObject({ status: "live", error: undefined });
  });

  it("go on at once when the server answers another, and are said no longer to be out of reach", async () => {
    await opened(10);
    connection().onerror?.();
    expect(now().error).toMatchObject({ code: "unreachable" });
    answers();
    expect(now()).toMatchObject({ status: "reconnecting", error: undefined });
    expect(Events.made).toHaveLength(2);
    connection().onerror?.();
    log.close();
    answers();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(Events.made).toHaveLength(2);
  });

  it("are loaded at once when the server answers another, where nothing had come before", async () => {
    vi.stubGlobal("fetch", vi.fn().mockRejectedValue(new TypeError("Failed to fetch")));
    log = new TaskLog("T", tell);
    await vi.waitUntil(() => now().status === "reconnecting");
    serves(10);
    answers();
    await vi.waitUntil(() => Events.made.length > 0);
    expect(sequences()).toHaveLength(10);
    answers();
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it("wait as long as a server asks for, whoever it answers meanwhile", async () => {
    const busy = Response.json(
      { code: "too_many_readers", message: "" },
      { status: 503, headers: { "retry-after": "9" } },
    );
    vi.stubGlobal("fetch", vi.fn().mockResolvedValue(busy));
    log = new TaskLog("T", tell);
    await vi.waitUntil(() => now().status === "reconnecting");
    answers();
    await vi.advanceTimersByTimeAsync(8_000);
    expect(fetch).toHaveBeenCalledTimes(1);
    expect(now().error).toMatchObject({ code: "too_many_readers" });
  });

  it("let the connection go while the page is hidden", async () => {
    await opened(10);
    connection().sends(11, 1);
    page.hidden = true;
    page.dispatchEvent(new Event("visibilitychange"));
    expect(connection().isClosed).toBe(true);
    page.hidden = false;
    page.dispatchEvent(new Event("visibilitychange"));
    expect(Events.made).toHaveLength(2);
    expect(connection().address).toBe("/api/v1/tasks/T/tail?cursor=c11");
  });

  it("are live once somebody sees a page that was opened behind others", async () => {
    page.hidden = true;
    serves(10);
    log = new TaskLog("T", tell);
    await vi.waitUntil(() => held !== undefined && sequences().length === 10);
    expect(now().status).not.toBe("loading");
    expect(Events.made).toHaveLength(0);
    page.hidden = false;
    page.dispatchEvent(new Event("visibilitychange"));
    connection().onopen?.();
    expect(now().status).toBe("live");
  });

  it("are loaded once somebody looks again, where nothing had come before", async () => {
    vi.stubGlobal("fetch", vi.fn().mockRejectedValue(new TypeError("Failed to fetch")));
    log = new TaskLog("T", tell);
    await vi.waitUntil(() => now().status === "reconnecting");
    page.hidden = true;
    page.dispatchEvent(new Event("visibilitychange"));
    await vi.advanceTimersByTimeAsync(60_000);
    serves(10);
    page.hidden = false;
    page.dispatchEvent(new Event("visibilitychange"));
    page.dispatchEvent(new Event("visibilitychange"));
    await vi.waitUntil(() => Events.made.length > 0);
    expect(sequences()).toHaveLength(10);
    expect(fetch).toHaveBeenCalledTimes(1);
  });

  it("are loaded from where they begin", async () => {
    await opened(700);
    await log.loadEarlier();
    expect(sequences()).toEqual(Array.from({ length: 700 }, (_, at) => at + 1));
    const asked = vi.mocked(fetch).mock.calls.length;
    await log.loadEarlier();
    expect(fetch).toHaveBeenCalledTimes(asked);
  });

  it("have no hole where later ones push out what earlier ones were asked for", async () => {
    await opened(2 * PIECE);
    connection().sends(2 * PIECE + 1, PIECE);
    await vi.waitUntil(() => sequences().at(-1) === 3 * PIECE);
    const answer = vi.mocked(fetch).getMockImplementation() ?? expect.fail();
    let go = () => {};
    const wait = new Promise<void>((resolve) => {
      go = resolve;
    });
    vi.mocked(fetch).mockImplementationOnce(async (address) => {
      await wait;
      return answer(address);
    });
    const loaded = log.loadEarlier();
    connection().sends(3 * PIECE + 1, PIECE);
    await vi.waitUntil(() => sequences().at(-1) === 4 * PIECE);
    go();
    await loaded;
    expect(sequences()).toEqual(Array.from({ length: 3 * PIECE }, (_, at) => PIECE + 1 + at));
  });

  it("are read only as far as they can be seen where more come between two frames", async () => {
    let draw = () => {};
    const frame = vi.fn((next: () => void) => {
      draw = next;
      return 1;
    });
    vi.stubGlobal("requestAnimationFrame", frame);
    await opened(1_000);
    for (let at = 0; at < 800; at += 1) connection().sends(1_001 + at * 10, 10);
    const parse = vi.spyOn(JSON, "parse");
    draw();
    expect(parse.mock.calls.length).toBeLessThan(50);
    parse.mockRestore();
    expect(sequences()).toEqual(Array.from({ length: 200 }, (_, at) => 8_801 + at));
    await log.loadEarlier();
    expect(sequences()).toEqual(Array.from({ length: 700 }, (_, at) => 8_301 + at));
    connection().sends(9_001, 1);
    expect(frame).toHaveBeenCalledTimes(1);
    await vi.advanceTimersByTimeAsync(100);
    expect(frame).toHaveBeenCalledTimes(2);
    draw();
    expect(sequences().at(-1)).toBe(9_001);
  });

  it("are in the document as few as the end needs while somebody follows it", async () => {
    await opened(10);
    for (let at = 0; at < 20; at += 1) {
      connection().sends(11 + at * 100, 100);
      await vi.waitUntil(() => sequences().at(-1) === 110 + at * 100, { interval: 1 });
      expect(sequences().length).toBeLessThanOrEqual(FOLLOWED);
    }
    expect(sequences()).toEqual(Array.from({ length: FOLLOWED }, (_, at) => 1_011 + at));
  });

  it("are counted while nobody looks at the end, and no more are taken than are held", async () => {
    await opened(10);
    log.follow(false);
    connection().sends(11, 20);
    await vi.waitUntil(() => now().unseen === 20);
    connection().sends(31, MOST);
    await vi.waitUntil(() => now().timeline.isCut);
    expect(connection().isClosed).toBe(true);
    expect(sequences()[0]).toBe(1);
  });

  it("are read again from the end when somebody goes there and later ones were let go", async () => {
    await opened(MOST + 2 * PIECE);
    for (let at = 0; at < 11; at += 1) await log.loadEarlier();
    expect(now().timeline.isCut).toBe(true);
    expect(connection().isClosed).toBe(true);
    connection().sends(MOST + 2 * PIECE + 1, 1);
    await new Promise((resolve) => setImmediate(resolve));
    expect(sequences().at(-1)).toBe(MOST);
    expect(log.follow(true)).toBe(false);
    expect(now().timeline.isCut).toBe(true);
    log.toEnd();
    await vi.waitUntil(() => Events.made.length === 2);
    expect(now().timeline.isCut).toBe(false);
    expect(sequences().at(-1)).toBe(MOST + 2 * PIECE);
  });

  it("are asked for again after an error of the store, and not of a task with too many workers", async () => {
    await opened(3);
    connection().others.get("failed")?.({ data: '{"code":"store_failed","message":"no disk"}' });
    expect(now().status).toBe("reconnecting");
    await vi.advanceTimersByTimeAsync(5_000);
    expect(Events.made).toHaveLength(2);
    connection().others.get("failed")?.({ data: '{"code":"too_many_workers","message":"more than 64"}' });
    expect(now()).toMatchObject({ status: "refused", error: { code: "too_many_workers" } });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(Events.made).toHaveLength(2);
  });

  it("end", async () => {
    await opened(3);
    connection().others.get("end")?.({ data: "{}" });
    expect(now().status).toBe("ended");
    expect(connection().isClosed).toBe(true);
  });
});
