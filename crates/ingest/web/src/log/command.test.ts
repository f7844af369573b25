import { expect, it } from "vitest";
import { commandLength } from "./command";

it.each([
  ["::error::it broke", "::error::"],
  ["::warning file=src/cart.rs,line=88::unused: `voucher`", "::warning file=src/cart.rs,line=88::"],
  ["##[warning]look out", "##[warning]"],
  ["##[command]make all", "##[command]"],
  ["std::error::Error", ""],
  ["::errors::no", ""],
  ["::error", ""],
  [" ::error::not at the beginning", ""],
  ["::warning file=a:b::c", ""],
])("%j begins with the command %j", (line, command) => {
  expect(line.slice(0, commandLength(line))).toBe(command);
});
