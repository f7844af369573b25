/** Text is as large as a person chose in the browser: no size of a font is in pixels. */

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL(".", import.meta.url));
const sheets = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".css"));

it.each(sheets)("%s has no font in pixels", (name) => {
  const lines = readFileSync(join(root, name), "utf8").split("\n");
  expect(lines.filter((line) => /(font(-size)?|line-height):.*\dpx/.test(line))).toEqual([]);
});
