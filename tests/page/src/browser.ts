/** One browser for all tests, and a person in it for each. */

import { mkdirSync } from "node:fs";
import { after, test } from "node:test";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { launch } from "./chromium.js";
import { Ingest } from "./ingest.js";
import { endAll } from "./process.js";

/** A test that takes longer hangs. */
const TEST_MS = 150_000;

let browser: Promise<Browser> | undefined;
let shared: Promise<Ingest> | undefined;
const ends: (() => Promise<unknown>)[] = [];

/** The log-ingest of all tests that need none of their own. */
export function ingest(): Promise<Ingest> {
  shared ??= ownIngest();
  return shared;
}

/** One that ends with the last test. */
export async function ownIngest(...flags: string[]): Promise<Ingest> {
  const made = await Ingest.start(...flags);
  ends.push(() => made.end());
  return made;
}

/** Somebody who lets the page use the clipboard. */
export const WITH_CLIPBOARD: As = { permissions: ["clipboard-read", "clipboard-write"] };

/** Somebody before a browser of their own: nothing that another has chosen is known there. */
export interface Person {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What the page may not do: errors of its script, and what its policy forbids. */
  readonly complaints: string[];
  /** Says something of the test beside its result. */
  readonly note: (text: string) => void;
}

export interface As extends BrowserContextOptions {
  /** Longer than usual, where a test says why. */
  limit?: number;
}

/** A test: what a person sees. It fails as well where the page's script fails, or breaks its policy. */
export function sees(sentence: string, story: (person: Person) => Promise<void>, as: As = {}): void {
  const { limit = TEST_MS, ...options } = as;
  test(sentence, { timeout: limit }, async (context) => {
    const person = await arrive(options, (text) => context.diagnostic(text));
    try {
      await story(person);
      if (person.complaints.length > 0) throw new Error(`the page complains: ${person.complaints.join("; ")}`);
    } catch (error) {
      await keepPicture(person.page, sentence);
      throw error;
    } finally {
      await person.context.close();
    }
  });
}

async function arrive(options: BrowserContextOptions, note: Person["note"]): Promise<Person> {
  browser ??= launch();
  const size = { width: 1280, height: 800 };
  const context = await (await browser).newContext({
    viewport: size,
    locale: "en-US",
    timezoneId: "Asia/Seoul",
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error.stack ?? error)));
  page.on("console", (message) => {
    // A request without an answer is not the page's fault.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
      complaints.push(message.text());
  });
  return { page, context, complaints, note };
}

/** What was shown where a test failed. */
async function keepPicture(page: Page, sentence: string): Promise<void> {
  const folder = process.env["OTTO_PICTURES"];
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  const path = `${folder}/${sentence.replaceAll(/[^a-z0-9]+/gi, "-").slice(0, 100)}.png`;
  await page.screenshot({ path, timeout: 5_000 }).catch(() => {});
}

after(async () => {
  await (await browser)?.close();
  await endAll();
  await Promise.all(ends.map((end) => end()));
});
