/** Numbers and times as people read them. */

import type { Language } from "./i18n";

/**
 * A whole number with its thousands set apart, as both languages write it. The browser's own way to it costs the first
 * screen ten milliseconds, for which it reads what it knows of the world's languages.
 */
export function grouped(value: number): string {
  return String(value).replace(/\B(?=(?:\d{3})+$)/g, ",");
}

/** Units from the largest that fits. */
const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
] as const;

const ages = new Map<string, Intl.RelativeTimeFormat>();

function ageFormat(language: Language, numeric: "auto" | "always"): Intl.RelativeTimeFormat {
  const key = `${language} ${numeric}`;
  const known = ages.get(key) ?? new Intl.RelativeTimeFormat(language, { numeric, style: "narrow" });
  ages.set(key, known);
  return known;
}

/** How long ago, in the largest unit that fits. Clocks that differ make no future. */
export function age(time: string, now: number, language: Language): string {
  const seconds = Math.max(0, Math.floor((now - Date.parse(time)) / 1000));
  const format = ageFormat(language, seconds === 0 ? "auto" : "always");
  for (const [unit, length] of UNITS) {
    if (seconds >= length) return format.format(-Math.floor(seconds / length), unit);
  }
  return format.format(-seconds, "second");
}

/** Units of a length of time, from milliseconds to days. */
const LENGTHS: Readonly<Record<Language, readonly [string, string, string, string, string]>> = {
  en: [" ms", " s", " m", " h", " d"],
  ko: ["ms", "초", "분", "시간", "일"],
};

/** A length of time in its two largest units: `340 ms`, `12.3 s`, `4 m 05 s`, `2 h 03 m`, `3 d 04 h`. */
export function duration(milliseconds: number, language: Language): string {
  const [ms, s, m, h, d] = LENGTHS[language];
  if (milliseconds < 1000) return `${Math.max(0, Math.round(milliseconds))}${ms}`;
  const seconds = milliseconds / 1000;
  // What would be rounded up to 60 s is a minute.
  if (seconds < 59.95) return `${seconds.toFixed(1)}${s}`;
  const whole = Math.round(seconds);
  if (whole < 3600) return `${Math.floor(whole / 60)}${m} ${two(whole % 60)}${s}`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)}${h} ${two(minutes % 60)}${m}`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)}${d} ${two(hours % 24)}${h}`;
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
