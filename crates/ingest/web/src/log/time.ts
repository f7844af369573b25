/** When a line came, in the ways that people ask for it. */

export type Times = "off" | "absolute" | "relative" | "delta";
export type Zone = "local" | "utc";

export const TIMES: readonly Times[] = ["off", "absolute", "relative", "delta"];

/** What comes after one in a round. */
export function next<T>(all: readonly T[], one: T): T {
  return all[(all.indexOf(one) + 1) % all.length] ?? one;
}

export interface Moments {
  readonly time: string;
  /** When the log began. */
  readonly start: string;
  /** When the line shown above came. */
  readonly before: string | null;
}

export function shown(moments: Moments, times: Times, zone: Zone): string {
  const time = Date.parse(moments.time);
  if (times === "off" || Number.isNaN(time)) return "";
  if (times === "absolute") return clock(time, zone);
  if (times === "relative") return span(time - Date.parse(moments.start));
  const before = moments.before === null ? Number.NaN : Date.parse(moments.before);
  return Number.isNaN(before) ? "" : `${time < before ? "\u2212" : "+"}${span(Math.abs(time - before))}`;
}

/** `14:03:07.042`. */
export function clock(time: number, zone: Zone): string {
  const date = new Date(time);
  const parts =
    zone === "utc"
      ? [date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds(), date.getUTCMilliseconds()]
      : [date.getHours(), date.getMinutes(), date.getSeconds(), date.getMilliseconds()];
  const [hours, minutes, seconds, milliseconds] = parts;
  return `${two(hours)}:${two(minutes)}:${two(seconds)}.${String(milliseconds).padStart(3, "0")}`;
}

/** `2026-03-01 14:03:07.042 UTC`, or with the offset of the place. */
export function full(text: string, zone: Zone): string {
  const time = Date.parse(text);
  if (Number.isNaN(time)) return text;
  if (zone === "utc") return `${new Date(time).toISOString().slice(0, 10)} ${clock(time, zone)} UTC`;
  const date = new Date(time);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(time, zone)} ${offset(date)}`;
}

function offset(date: Date): string {
  const minutes = -date.getTimezoneOffset();
  const absolute = Math.abs(minutes);
  return `${minutes < 0 ? "\u2212" : "+"}${two(Math.floor(absolute / 60))}:${two(absolute % 60)}`;
}

/** `0.042`, `1:03.042`, `2:01:03.042`: a stretch of time to the millisecond. */
export function span(milliseconds: number): string {
  if (milliseconds < 0) return `\u2212${span(-milliseconds)}`;
  const rest = Math.round(milliseconds);
  const seconds = Math.floor(rest / 1000) % 60;
  const minutes = Math.floor(rest / 60_000) % 60;
  const hours = Math.floor(rest / 3_600_000);
  const tail = `.${String(rest % 1000).padStart(3, "0")}`;
  if (hours > 0) return `${hours}:${two(minutes)}:${two(seconds)}${tail}`;
  return minutes > 0 ? `${minutes}:${two(seconds)}${tail}` : `${seconds}${tail}`;
}

function two(value: number | undefined): string {
  return String(value ?? 0).padStart(2, "0");
}
