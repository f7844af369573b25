/** Builds as they are seen on the pictures: a release of a shop, and what was built before it. */

import type { Agent, Ingest } from "../ingest.js";
import { cargoTests, crates } from "./cargo.js";
import { Script } from "./script.js";

export const RELEASE = "shop-release-1842";
export const BUILD = `${RELEASE}-build`;
export const LINT = `${RELEASE}-lint`;
export const TEST = `${RELEASE}-test`;
export const E2E = `${RELEASE}-e2e`;

/** On a machine that has much else to do. */
const LONG_MS = 120_000;

/** Those that are still at it. */
export interface Running {
  end(): Promise<void>;
}

export async function builds(ingest: Ingest): Promise<Running> {
  await before(ingest);
  const ended = Object.entries({ [BUILD]: build(), [LINT]: lint(), [TEST]: test() });
  const agents = [ingest.agent(RELEASE, E2E), ingest.agent("docs-preview-311", "docs-preview-311-build")];
  await Promise.all([
    ...ended.map(([worker, script]) => ran(ingest, worker, script)),
    says(agents[0], e2e()),
    says(agents[1], site()),
  ]);
  return {
    end: async () => {
      await Promise.all(agents.map((agent) => agent.kill()));
    },
  };
}

async function ran(ingest: Ingest, worker: string, script: Script): Promise<void> {
  const agent = ingest.agent(RELEASE, worker);
  agent.does(script.text);
  await agent.done(LONG_MS);
}

async function says(agent: Agent | undefined, script: Script): Promise<void> {
  agent?.does(script.text);
  await agent?.sent(script.lines, LONG_MS);
}

/** Tasks of the days before, each with its workers and how they ended. */
async function before(ingest: Ingest): Promise<void> {
  const tasks: [string, number[]][] = [
    ["shop-release-1838", [0, 0, 0, 0]],
    ["payments-nightly", [0, 0, 0, 0, 0, 0, 0, 0]],
    ["search-index-rebuild", [0]],
    ["shop-pr-2207", [0, 1, 0]],
    ["shop-pr-2211", [0, 0, 0]],
    ["mobile-beta-57", [0, 0]],
    ["shop-release-1841", [0, 0, 0, 0]],
    ["infra-plan-eu-west", [2]],
    ["shop-pr-2214", [0, 0, 0]],
  ];
  for (const [task, codes] of tasks) {
    const workers = codes.map((code, at) => {
      const agent = ingest.agent(task, `${task}-${at}`);
      agent.does(`seq -f 'step %g' ${97 * task.length * (at + 1)}; exit ${code}`);
      return agent.done(LONG_MS);
    });
    await Promise.all(workers);
  }
}

function setUp(script: Script): Script {
  return script
    .group("Check out shop at 4f1c9e2", 2, [
      "From github.com:acme/shop",
      " * branch            4f1c9e2 -> FETCH_HEAD",
      "HEAD is now at 4f1c9e2 Take vouchers in the checkout",
    ])
    .group("Restore the cache", 3, ["cache: linux-x64-cargo-9d1f, 412 MiB", "cache: restored in 3.1 s"]);
}

function build(): Script {
  return setUp(new Script())
    .group("cargo build --release", 48, crates(214))
    .says("\x1b[1;32m    Finished\x1b[0m `release` profile [optimized] target(s) in 48.20s")
    .group("Push the image", 6, ["sha256:8d7c… pushed", "\x1b[32m✓\x1b[0m registry.acme.dev/shop:1842 (38.2 MB)"])
    .exit(0);
}

function lint(): Script {
  const warning = "::warning file=src/cart.rs,line=88::unused variable: `voucher`";
  return setUp(new Script())
    .group("cargo clippy --workspace", 21, crates(96))
    .errs(
      "\x1b[1;33mwarning\x1b[0m\x1b[1m: unused variable: `voucher`\x1b[0m",
      "  \x1b[1;34m-->\x1b[0m src/cart.rs:88:9",
      "   \x1b[1;34m|\x1b[0m",
      "\x1b[1;34m88\x1b[0m \x1b[1;34m|\x1b[0m     let voucher = request.voucher();",
      "   \x1b[1;34m|\x1b[0m         \x1b[1;33m^^^^^^^ help: prefix it with an underscore: `_voucher`\x1b[0m",
    )
    .says(warning, "\x1b[1;32m    Finished\x1b[0m `dev` profile [unoptimized] target(s) in 21.07s")
    .exit(0);
}

function test(): Script {
  return setUp(new Script())
    .group("cargo test --workspace --no-run", 73, crates(214))
    .says("\x1b[1;32m     Running\x1b[0m unittests src/lib.rs (target/debug/deps/shop-3f9a1c7be2d04471)", "")
    .says("running 12 tests", ...cargoTests(12, "checkout::tests::voucher_is_taken_once"), "")
    .says("failures:", "", "---- checkout::tests::voucher_is_taken_once stdout ----", "")
    .errs(
      "thread 'checkout::tests::voucher_is_taken_once' panicked at src/checkout.rs:142:9:",
      "assertion `left == right` failed: a voucher counts once",
      "  left: \x1b[31m1800\x1b[0m",
      " right: \x1b[32m2000\x1b[0m",
      "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
    )
    .says("", "failures:", "    checkout::tests::voucher_is_taken_once", "")
    .says("test result: \x1b[31mFAILED\x1b[0m. 11 passed; 1 failed; 0 ignored; finished in 4.12s", "")
    .errs("\x1b[1;31merror\x1b[0m\x1b[1m:\x1b[0m test failed, to rerun pass `-p shop --lib`")
    .group("Keep the report", 1, ["report: target/junit.xml, 12 cases", "report: uploaded in 0.4 s"])
    .exit(101);
}

function e2e(): Script {
  const files = ["cart", "checkout", "login", "search", "orders", "wishlist", "address", "vouchers"];
  const browsers = ["chromium", "firefox", "webkit"];
  const runs = files.flatMap((file, at) =>
    browsers.map((browser, of) => {
      const [number, took] = [String(at * 3 + of + 1).padStart(4), ((at * 7 + of * 5) % 19) + 3];
      return `  \x1b[32m✓\x1b[0m ${number} [${browser}] › \x1b[36m${file}.spec.ts\x1b[0m › ${TITLES[at]} \x1b[2m(${took / 10}s)\x1b[0m`;
    }),
  );
  return setUp(new Script())
    .group("npm ci", 6, [
      "added 412 packages, and audited 413 packages in 6s",
      "found \x1b[1;32m0\x1b[0m vulnerabilities",
    ])
    .says("> shop-e2e@1.0.0 test", "> playwright test", "", "Running 64 tests using 4 workers", "")
    .drips(...runs);
}

const TITLES = [
  "keeps what is in it after a reload",
  "takes a card, a voucher and both",
  "remembers where the person came from",
  "finds with a typing mistake",
  "shows an order that is on its way",
  "moves a thing into the cart",
  "completes a street from its beginning",
  "refuses a voucher that is over",
];

function site(): Script {
  return setUp(new Script())
    .group("npm ci", 14, ["added 1,208 packages in 14s"])
    .says("\x1b[36mvite v7.1.0\x1b[0m building for production…", "transforming (1204) src/pages/guide.mdx");
}
