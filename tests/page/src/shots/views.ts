/** What is shown of the page. */

import type { Page } from "playwright-core";
import { E2E, LINT, RELEASE, TEST } from "./builds.js";
import type { View } from "./take.js";

const FAILURE = "checkout::tests::voucher_is_taken_once ...";

export const VIEWS: readonly View[] = [
  {
    name: "page",
    screen: "light",
    address: `/tasks/${RELEASE}?w=${TEST}`,
    prepare: async (page) => {
      await has(page, FAILURE);
      await page.keyboard.press("g");
      await page.locator('.log-row[data-sequence="1"] .log-folded').waitFor();
    },
  },
  {
    name: "tasks",
    address: "/?order=failed",
    prepare: (page) => page.locator(".tasks tbody tr").nth(8).waitFor(),
  },
  {
    name: "task",
    address: `/tasks/${RELEASE}?w=${E2E}`,
    prepare: (page) => has(page, "refuses a voucher that is over"),
  },
  {
    name: "side",
    address: `/tasks/${RELEASE}?show=side&w=${LINT}&w=${TEST}`,
    prepare: async (page) => {
      await has(page, FAILURE);
      await has(page, "Finished");
    },
  },
  {
    name: "time",
    address: `/tasks/${RELEASE}?show=time`,
    prepare: (page) => has(page, "vouchers.spec.ts", ".timeline"),
  },
  {
    name: "log",
    address: `/workers/${TEST}`,
    prepare: async (page) => {
      await has(page, FAILURE);
      await page.locator(".log-row", { hasText: "panicked at" }).locator(".log-number").click();
      // By keys, as the last of these lines may be below the window of a phone.
      for (const _ of ["left == right", "left: 1800", "right: 2000"]) await page.keyboard.press("J");
      await has(page, "right: 2000");
      await page.locator('[data-log="chosen"]').waitFor();
    },
  },
  {
    name: "search",
    address: `/workers/${TEST}`,
    prepare: async (page) => {
      await has(page, FAILURE);
      await page.locator('[data-log="find"]').click();
      await page.locator('[data-log="find-field"]').fill("checkout");
      await page.locator(".log-row mark").first().waitFor();
    },
  },
  {
    name: "help",
    address: `/workers/${TEST}`,
    prepare: async (page) => {
      await has(page, FAILURE);
      await page.keyboard.press("?");
      await page.locator("dialog[open]").waitFor();
    },
  },
];

/** Waits until this can be read. */
function has(page: Page, text: string, within = ".log"): Promise<void> {
  return page.locator(within).getByText(text).first().waitFor();
}
