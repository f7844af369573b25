import { expect, test } from "vitest";
import { bytes } from "./size";

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1_500_000, "1.4 MiB"],
  [900 * 1024 ** 3, "900 GiB"],
])("%d bytes are %s", (value, text) => expect(bytes(value)).toBe(text));
