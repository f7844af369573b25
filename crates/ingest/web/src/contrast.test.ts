/** Text can be read in both themes: WCAG 2.2 AA asks for 4.5:1 of text, and 3:1 of what tells a control apart. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

const css = readFileSync(new URL("page.css", import.meta.url), "utf8");
const themes = ["light", "dark"] as const;
type Theme = (typeof themes)[number];

function colour(name: string, theme: Theme): string {
  const pair = new RegExp(`${name}: light-dark\\((#[0-9a-f]{6}), (#[0-9a-f]{6})\\)`).exec(css);
  const found = pair?.[theme === "light" ? 1 : 2];
  if (!found) throw new Error(`${name} is no pair of colours`);
  return found;
}

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: string, other: string, theme: Theme): number {
  const [light = 0, dark = 0] = [one, other].map((name) => luminance(colour(name, theme))).sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
}

const grounds = ["--ground", "--raised", "--select"];
const texts = ["--text", "--quiet", "--link", "--bad", "--good", "--warn", "--stderr"];
const pairs = [
  ...grounds.flatMap((ground) => texts.map((text) => [text, ground])),
  ...Array.from({ length: 16 }, (_, at) => [`--ansi-${at}`, "--ground"]),
  ["--accent", "--accent-ground"],
  ["--bad", "--accent-ground"],
  ["--good", "--accent-ground"],
  ["--quiet", "--accent-ground"],
  ["--bad", "--bad-ground"],
  ["--warn", "--warn-ground"],
  ["--warn", "--loss-ground"],
  ["--text", "--loss-ground"],
  ["--quiet", "--loss-ground"],
  ["--text", "--hit"],
  ["--text", "--hit-now"],
  ["--quiet", "--edge"],
] as [string, string][];

describe.each(themes)("in the %s theme", (theme) => {
  it.each(pairs)("text in %s can be read on %s", (text, ground) => {
    expect(contrast(text, ground, theme)).toBeGreaterThanOrEqual(4.5);
  });

  it.each(["--edge-strong", "--accent"])("%s tells a control from the ground", (name) => {
    expect(contrast(name, "--ground", theme)).toBeGreaterThanOrEqual(3);
  });
});
