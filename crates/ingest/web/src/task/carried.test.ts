import { expect, it } from "vitest";
import type { TaskLine } from "../api";
import { PLAIN } from "../log/ansi";
import { isSame, NOTHING, styled } from "./carried";

const line = (worker_id: string, message: string, source = "stdout") =>
  ({ worker_id, sequence: 1, source, message, timestamp: "", level: "" }) as TaskLine;

it("a colour goes on in the next line of its worker, and in no other", () => {
  const { styles, after } = styled(
    [
      line("a", "\x1b[31mred"),
      line("b", "plain"),
      line("a", "agent", "system"),
      line("a", "red yet\x1b[0m"),
      line("a", ""),
    ],
    NOTHING,
  );
  expect(styles.map(({ fg }) => fg)).toEqual([null, null, null, 1, null]);
  expect(styles.at(-1)).toBe(PLAIN);
  expect(isSame(after, NOTHING)).toBe(true);
});

it("what lines leave is where the next begin", () => {
  const { after } = styled([line("a", "\x1b[1m")], NOTHING);
  expect(styled([line("a", "")], after).styles[0]?.bold).toBe(true);
  expect(isSame(after, styled([line("a", "\x1b[1m")], NOTHING).after)).toBe(true);
  expect(isSame(after, NOTHING)).toBe(false);
});
