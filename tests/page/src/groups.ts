/** Groups of the usual CI dialects, and what is missing in a log. */

import assert from "node:assert/strict";
import { existsSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ingest, ownIngest, sees } from "./browser.js";
import { LogPage } from "./log.js";
import { until } from "./wait.js";

/** What is in sight when groups come to be known stays in sight: the log opens at its end, far from them. */
const FAR = "seq 1 200";

const dialects = [
  {
    name: "GitHub's",
    worker: "groups-github",
    script: "echo '::group::Install'; echo inside; sleep 0.3; echo '::endgroup::'; echo after",
    took: /\d+ ms|\d\.\d s/,
  },
  {
    name: "Azure's",
    worker: "groups-azure",
    script: "echo '##[group]Install'; echo inside; sleep 0.3; echo '##[endgroup]'; echo after",
    took: /\d+ ms|\d\.\d s/,
  },
  {
    name: "GitLab's",
    worker: "groups-gitlab",
    script: String.raw`printf 'section_start:1700000000:a[collapsed=true]\r\033[0KInstall\ninside\nsection_end:1700000125:a\r\033[0K\nafter\n'`,
    // It says its times itself.
    took: /2 m 05 s/,
  },
] as const;

for (const { name, worker, script, took } of dialects) {
  sees(`groups in ${name} dialect are folded, have a duration, and open by press and by key`, async ({ page }) => {
    const server = await ingest();
    await server.ran("groups", worker, `${script}; ${FAR}`);
    const log = await LogPage.open(page, server, worker);
    await log.part("fold-all").waitFor();
    await log.press("g");
    const title = log.row(1).locator(".log-fold");
    await title.waitFor();
    assert.match(await title.innerText(), /Install/);
    await until(
      "its duration",
      () => log.row(1).innerText(),
      (text) => took.test(text),
    );
    await log.shows("the group folded", (rows) => rows.every(({ text }) => text !== "inside"));
    assert.equal(await title.getAttribute("aria-expanded"), "false");
    await title.click();
    await log.showsLine(2, "inside");
    await log.press("x");
    await log.shows("the group folded again", (rows) => rows.every(({ text }) => text !== "inside"));
    await log.part("fold-all").click();
    await log.showsLine(2, "inside");
  });
}

sees("groups in Buildkite's dialect are folded or open as it says", async ({ page }) => {
  const server = await ingest();
  const script = "echo '--- folded'; echo hidden; echo '+++ open'; echo seen; echo '~~~ muted'; echo quiet";
  await server.ran("groups", "groups-buildkite", `${script}; echo '+++ rest'; ${FAR}`);
  const log = await LogPage.open(page, server, "groups-buildkite");
  await log.part("fold-all").waitFor();
  await log.press("g");
  const shown = await log.shows(
    "four headings",
    (rows) => rows.filter(({ classes }) => classes.includes("log-heading")).length === 4,
  );
  assert.deepEqual(shown.map(({ sequence }) => sequence).slice(0, 5), [1, 3, 4, 5, 7]);
  await log.row(1).locator(".log-fold").click();
  await log.showsLine(2, "hidden");
});

sees("a link into a folded group opens it, and keys go from group to group", async ({ page }) => {
  const server = await ingest();
  const script = "for n in 1 2 3; do echo \"::group::part $n\"; seq 1 100; echo '::endgroup::'; done; seq 1 50";
  await server.ran("groups", "groups-linked", script);
  const log = await LogPage.open(page, server, "groups-linked", "#L150");
  await log.showsLine(150, "47");
  const unfolded = () => log.root.locator('.log-fold[aria-expanded="true"]').count();
  assert.ok((await unfolded()) <= 1);
  await log.part("fold-all").waitFor();
  await log.press("g");
  await log.showsLine(1);
  for (const heading of [1, 103, 205]) {
    await log.press("]");
    await log.isCurrent(heading);
  }
});

sees("lines that an agent had to drop are a gap with its reason", async ({ page }) => {
  const server = await ownIngest();
  // Nobody takes its lines while it prints: what neither memory nor spool has room for goes.
  await server.kill();
  const agent = server.agent("gaps", "gaps-dropped", "--buffer-limit", "256KiB", "--spool-limit", "0");
  const marker = join(tmpdir(), `otto-page-printed-${process.pid}`);
  agent.does(`seq 1 200000; echo last; touch ${marker}`);
  await until("all is printed", () => existsSync(marker));
  rmSync(marker);
  await server.resume();
  const state = await agent.done(60_000);
  assert.ok(state.lost > 0, "lines were lost");
  const log = await LogPage.open(page, server, "gaps-dropped");
  await log.shows("the last line", (rows) => rows.some(({ text }) => text === "last"));
  await page.locator(".worker-bar", { hasText: "lost" }).waitFor();
  await log.press("g");
  await log.shows("the gap", (rows) =>
    rows.some(({ text, classes }) => classes.includes("log-gap") && text.includes("the agent's buffer was full")),
  );
});

sees("hundreds of folded groups show their headings, and none of their lines is asked for", async ({ page }) => {
  const server = await ingest();
  const group = `print "::group::step " g; for (n = 1; n <= 600; n++) print n; print "::endgroup::"`;
  await server.ran("groups", "groups-many", `awk 'BEGIN { for (g = 1; g <= 300; g++) { ${group} } }'; ${FAR}`);
  const log = await LogPage.open(page, server, "groups-many");
  await log.part("fold-all").waitFor();
  const asked: string[] = [];
  page.on("request", (request) => {
    if (request.url().includes("/logs?")) asked.push(request.url());
  });
  await log.press("g");
  const from = (group: number) =>
    log.shows(`headings from group ${group} on`, (rows) => {
      const headings = rows.filter(({ classes }) => classes.includes("log-heading"));
      return headings.length > 10 && headings.some(({ text }) => text.includes(`step ${group}`));
    });
  await from(1);
  await log.press("PageDown");
  await from(40);
  const lines = asked.map((url) => Number(new URL(url).searchParams.get("limit")));
  assert.ok(
    lines.every((limit) => limit <= 2),
    `so many lines were asked for: ${lines}`,
  );
});

sees("lines that retention has taken are a gap with its reason", async ({ page }) => {
  const server = await ownIngest("--retain-task-bytes", "16MiB");
  // What compresses would take up less than it seems.
  await server.ran("gaps", "gaps-retention", "head -c 30000000 /dev/urandom | base64 -w 1000; echo last");
  const first = async () => {
    const response = await fetch(server.url("/api/v1/workers/gaps-retention/logs?limit=1"));
    return JSON.parse(await response.text()) as { gap?: { reason: string } };
  };
  await until("lines are taken", first, (line) => line.gap?.reason === "retention", 60_000);
  const log = await LogPage.open(page, server, "gaps-retention");
  await log.shows("the last line", (rows) => rows.some(({ text }) => text === "last"));
  await log.press("g");
  await log.shows("the gap", (rows) => rows[0]?.text.includes("deleted, as they were too old or too many") ?? false);
});
