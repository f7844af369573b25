/** A log that is followed. */

import type { Page } from "playwright-core";
import { ingest } from "./browser.js";
import type { Agent } from "./ingest.js";
import { LogPage } from "./log.js";
import { hears } from "./told.js";

export interface Followed {
  readonly agent: Agent;
  readonly log: LogPage;
  /** Waits until the page has been told of line 305. */
  readonly heard: () => Promise<boolean>;
}

/** A log of 300 lines of a worker that goes on, which is followed. */
export async function followed(page: Page, worker: string, format = "%g"): Promise<Followed> {
  const server = await ingest();
  const agent = server.agent("followed", worker);
  agent.does(`seq -f '${format}' 1 300`);
  await agent.sent(300);
  const heard = await hears(page, 305);
  const log = await LogPage.open(page, server, worker);
  await log.showsLine(300);
  await log.isPressed("follow");
  return { agent, log, heard };
}
