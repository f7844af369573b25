import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Tails } from "./Tails";

/** A connection as the browser makes it, driven by hand. */
class Connection extends EventTarget {
  static made: Connection[] = [];
  isClosed = false;
  readonly address: string;
  onopen?: () => void;
  onmessage?: (event: { data: string }) => void;
  onerror?: () => void;

  constructor(address: string) {
    super();
    this.address = address;
    Connection.made.push(this);
  }

  close(): void {
    this.isClosed = true;
  }

  brings(worker: string, ...sequences: number[]): void {
    this.onmessage?.({ data: JSON.stringify(sequences.map((sequence) => ({ worker_id: worker, sequence }))) });
  }

  says(type: string, data: unknown): void {
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));
  }
}

const TOO_MANY = { code: "too_many_workers", message: "more than 64" };

function heardBy(tails: Tails, worker: string) {
  const heard: string[] = [];
  const events = tails.of(worker, 1);
  for (const type of ["open", "message", "worker", "end", "error"])
    events.addEventListener(type, ({ lastEventId }) => heard.push(`${type} ${lastEventId}`.trim()));
  return { events, heard };
}

async function opened(tails: Tails, ...workers: string[]) {
  const logs = workers.map((worker) => heardBy(tails, worker));
  await vi.waitUntil(() => Connection.made.length > 0);
  now().onopen?.();
  return logs;
}

const now = () => Connection.made.at(-1) ?? expect.fail("there is no connection");

beforeEach(() => {
  Connection.made = [];
  vi.stubGlobal("EventSource", Connection);
  vi.stubGlobal(
    "fetch",
    vi.fn(async () => Response.json({ lines: [], previous: null, next: "c" })),
  );
});
afterEach(() => void vi.unstubAllGlobals());

test("logs beside each other share one connection, and each hears what is its own", async () => {
  const [one, two] = await opened(new Tails("T"), "one", "two");
  expect(Connection.made.map(({ address }) => address)).toEqual(["/api/v1/tasks/T/tail?cursor=c"]);
  now().brings("one", 1, 2);
  now().brings("two", 7);
  now().brings("nobody", 9);
  now().says("worker", { worker_id: "one", state: "open" });
  now().says("worker", { worker_id: "two", state: "closed" });
  expect(one?.heard).toEqual(["open", "message 2", "worker"]);
  expect(two?.heard).toEqual(["open", "message 7", "end"]);
});

test("a log that joins later is told how far its worker is", async () => {
  const tails = new Tails("T");
  await opened(tails, "one");
  now().brings("two", 41, 42);
  const { heard } = heardBy(tails, "two");
  await Promise.resolve();
  expect(heard).toEqual(["open", "message 42"]);
  expect(Connection.made).toHaveLength(1);
});

test("the connection ends with the last log that needs it", async () => {
  const [one, two] = await opened(new Tails("T"), "one", "two");
  one?.events.close();
  expect(now().isClosed).toBe(false);
  two?.events.close();
  expect(now().isClosed).toBe(true);
});

test("when it breaks each log hears of it, and the first that comes back makes it for all", async () => {
  const tails = new Tails("T");
  const logs = await opened(tails, "one", "two");
  now().onerror?.();
  expect(now().isClosed).toBe(true);
  expect(logs.map(({ heard }) => heard.at(-1))).toEqual(["error", "error"]);
  heardBy(tails, "two");
  heardBy(tails, "one");
  await vi.waitUntil(() => Connection.made.length === 2);
  await Promise.resolve();
  expect(Connection.made).toHaveLength(2);
});

test.each([
  ["before it is made", false],
  ["while it is there", true],
])("of a task with too many workers each log has its own connection, told %s", async (_, later) => {
  const tails = new Tails("T");
  if (!later) vi.mocked(fetch).mockResolvedValue(Response.json(TOO_MANY, { status: 422 }));
  const { heard } = heardBy(tails, "one");
  if (later) {
    await vi.waitUntil(() => Connection.made.length > 0);
    now().says("failed", TOO_MANY);
  }
  await vi.waitUntil(() => heard.includes("error"));
  tails.of("one", 5);
  expect(now().address).toBe("/api/v1/workers/one/tail?from=5&batch=true");
});
