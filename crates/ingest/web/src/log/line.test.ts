import { expect, test } from "vitest";
import { entryOf, KEPT_CHARACTERS, readLines } from "./line";

function streamOf(...pieces: string[]): ReadableStream<Uint8Array> {
  const bytes = pieces.map((piece) => new TextEncoder().encode(piece));
  return new ReadableStream({
    pull(controller) {
      const next = bytes.shift();
      if (next) controller.enqueue(next);
      else controller.close();
    },
  });
}

test("lines are read however they are cut on the way", async () => {
  const text = '{"a":"하나"}\n{"a":2}\n';
  const bytes = new TextEncoder().encode(text);
  for (let cut = 0; cut <= bytes.length; cut += 1) {
    const values: unknown[] = [];
    const parts = [bytes.slice(0, cut), bytes.slice(cut)];
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const part = parts.shift();
        if (part) controller.enqueue(part);
        else controller.close();
      },
    });
    await readLines(body, (value) => values.push(value) > 0);
    expect(values).toEqual([{ a: "하나" }, { a: 2 }]);
  }
});

test("an answer that breaks off is no answer", async () => {
  await expect(readLines(streamOf('{"a":1}\n{"a":'), () => true)).rejects.toThrow("cut");
});

test("reading stops when there is enough", async () => {
  const values: unknown[] = [];
  await readLines(streamOf("1\n2\n", "3\n"), (value) => values.push(value) < 2);
  expect(values).toEqual([1, 2]);
});

test("of a very long line the beginning is kept, and how long it was", () => {
  const line = entryOf({ sequence: 1, message: "x".repeat(1_000_000), source: "stderr", flags: 2 });
  expect(line).toMatchObject({
    kind: "line",
    length: 1_000_000,
    source: "stderr",
    continues: false,
    unterminated: true,
  });
  expect(line.kind === "line" && line.message.length).toBe(KEPT_CHARACTERS);
});
