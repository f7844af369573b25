/**
 * Server-sent events over a connection that is known to live. One that died without a word, with a node or in a NAT,
 * looks to a browser like one on which nothing comes: where not even the server's ping has come for long, it is at fault.
 */

import { answers } from "../answers";

/** The server says something every 15 s. */
export const SILENT_MS = 40_000;
const EVERY_MS = 5_000;

/** It has an `error` as well where it is silent for too long; who hears of one closes it. */
export function listen(address: string): EventSource {
  const events = new EventSource(address);
  let heard = performance.now();
  const hear = () => {
    heard = performance.now();
  };
  for (const type of ["open", "message", "ping", "worker"]) events.addEventListener(type, hear);
  events.addEventListener("open", answers);
  const timer = setInterval(() => {
    if (events.readyState === EventSource.CLOSED) clearInterval(timer);
    else if (performance.now() - heard >= SILENT_MS) events.dispatchEvent(new Event("error"));
  }, EVERY_MS);
  return events;
}
