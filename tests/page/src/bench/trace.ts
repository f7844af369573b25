/** What a page's main thread did for each frame, from a trace of Chromium. */

/** What each frame has once, before it is painted. */
const FRAME = "PrePaint";

interface Event {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  /** Microseconds. */
  ts: number;
  dur?: number;
  /** Of the thread's own time. */
  tdur?: number;
}

export interface Work {
  /** Milliseconds of all tasks from one frame to the next. */
  frames: number[];
  /** The same in CPU time, which leaves out what others on this machine took meanwhile. */
  framesCpu: number[];
  longestTask: number;
}

interface Task {
  from: number;
  to: number;
  cpu: number;
}

export function framesOf(trace: { traceEvents: Event[] }): Work {
  const drawn = trace.traceEvents.filter(({ name }) => name === FRAME);
  const thread = busiest(drawn);
  const own = trace.traceEvents.filter((event) => threadOf(event) === thread);
  const tasks = own
    .filter(({ name, ph }) => name === "RunTask" && ph === "X")
    .map(({ ts, dur = 0, tdur = dur }): Task => ({ from: ts, to: ts + dur, cpu: tdur }))
    .sort((one, other) => one.from - other.from);
  const frames = drawn.filter((event) => threadOf(event) === thread).map(({ ts }) => ts);
  frames.sort((one, other) => one - other);
  if (tasks.length === 0) throw new Error("the trace has no tasks");
  return { ...summed(tasks, frames), longestTask: Math.max(...tasks.map(({ from, to }) => to - from)) / 1_000 };
}

/** A frame is the task that draws it, and all that follow until the next one that does. */
function summed(tasks: readonly Task[], drawn: readonly number[]): Pick<Work, "frames" | "framesCpu"> {
  const frames: number[] = [];
  const framesCpu: number[] = [];
  let next = 0;
  for (const { from, to, cpu } of tasks) {
    if ((drawn[next] ?? to) < to) {
      while ((drawn[next] ?? to) < to) next += 1;
      frames.push(0);
      framesCpu.push(0);
    }
    const last = frames.length - 1;
    if (last < 0) continue;
    frames[last] = (frames[last] ?? 0) + (to - from) / 1_000;
    framesCpu[last] = (framesCpu[last] ?? 0) + cpu / 1_000;
  }
  return { frames, framesCpu };
}

/** The thread with the most of these. */
function busiest(events: readonly Event[]): string {
  const counts = new Map<string, number>();
  for (const event of events) counts.set(threadOf(event), (counts.get(threadOf(event)) ?? 0) + 1);
  const [most] = [...counts].sort(([, one], [, other]) => other - one);
  if (!most) throw new Error("the trace has no frames");
  return most[0];
}

function threadOf({ pid, tid }: Event): string {
  return `${pid}/${tid}`;
}
