import { expect, test } from "vitest";
import { CHUNK, type Chunk } from "./cache";
import { entryOf } from "./line";
import { Styles } from "./styles";

function chunk(index: number, lines: Record<number, { message: string; source?: string }>, version = 1): Chunk {
  const entries = Array.from({ length: CHUNK }, (_, at) => {
    const line = lines[index * CHUNK + at + 1];
    return line && entryOf({ sequence: index * CHUNK + at + 1, ...line });
  });
  return { index, entries, bytes: 0, version, heavy: false };
}

test("a colour goes on from line to line until it is taken back", () => {
  const styles = new Styles();
  const lines = { 1: { message: "\x1b[31mred" }, 2: { message: "on" }, 3: { message: "\x1b[0mback" } };
  expect([1, 2, 3, 4].map((line) => styles.of(line, chunk(0, lines)).fg)).toEqual([null, 1, 1, null]);
});

test("what the agent says has no part in it", () => {
  const styles = new Styles();
  const lines = { 1: { message: "\x1b[31magent", source: "system" }, 2: { message: "plain" } };
  expect(styles.of(2, chunk(0, lines)).fg).toBeNull();
});

test("the server tells how a chunk begins that nobody has read from the start", () => {
  const styles = new Styles();
  styles.tell([[513, "1;32"]], 2_000);
  expect(styles.of(513, chunk(1, {}))).toMatchObject({ bold: true, fg: 2 });
  expect(styles.of(1_025, chunk(2, {})).fg).toBeNull();
});

test("beyond what the server told, a chunk goes on from the one before", () => {
  const styles = new Styles();
  styles.of(1, chunk(0, { 512: { message: "\x1b[35mmagenta" } }));
  expect(styles.of(513, chunk(1, {})).fg).toBe(5);
});

test("lines that come change the styles behind them", () => {
  const styles = new Styles();
  expect(styles.of(2, chunk(0, {}, 1)).fg).toBeNull();
  expect(styles.of(2, chunk(0, { 1: { message: "\x1b[31m" } }, 2)).fg).toBe(1);
});

test("lines that come leave the styles of those before them as they are, to the object", () => {
  const styles = new Styles();
  const lines = { 1: { message: "\x1b[31mred" }, 2: { message: "on" }, 600: { message: "later" } };
  const entries = chunk(0, lines).entries;
  const at = (line: number, version: number) => styles.of(line, { index: 0, entries, bytes: 0, version, heavy: false });
  const before = [at(2, 1), at(3, 1)];
  entries[3] = entryOf({ sequence: 4, message: "\x1b[32mgreen" });
  expect(at(2, 2)).toBe(before[0]);
  expect(at(3, 2)).toBe(before[1]);
  expect(at(5, 2).fg).toBe(2);
});

test("what the server says again changes nothing, to the object", () => {
  const styles = new Styles();
  styles.tell([[513, "1;32"]], 600);
  const before = styles.of(514, chunk(1, {}));
  styles.tell([[513, "1;32"]], 700);
  expect(styles.of(514, chunk(1, {}, 2))).toBe(before);
  styles.tell([[513, "31"]], 800);
  expect(styles.of(514, chunk(1, {}, 2))).toMatchObject({ bold: false, fg: 1 });
});
