import { describe, expect, it } from "vitest";
import { divided, format, lineHref, parse, taskHref, withEntry, workerHref } from "./route";

const query = (text: string) => new URLSearchParams(text);

describe("the address of a view", () => {
  it.each([
    ["", "#/"],
    ["#", "#/"],
    ["#/", "#/"],
    ["#/?q=a+b&state=failed", "#/?q=a+b&state=failed"],
    ["#/tasks/T", "#/tasks/T"],
    ["#/tasks/a%2Fb%3Fc?show=side&w=1&w=2", "#/tasks/a%2Fb%3Fc?show=side&w=1&w=2"],
    ["#/workers/%ED%95%9C%EA%B8%80?line=3-9", "#/workers/%ED%95%9C%EA%B8%80?line=3-9"],
  ])("%s is read and written again as %s", (hash, again) => {
    expect(format(parse(hash))).toBe(again);
  });

  it.each(["#/tasks", "#/tasks/", "#/workers/a/b", "#/elsewhere/x", "#/tasks/%E0%A4%A", "#nowhere"])(
    "%s is no view",
    (hash) => {
      expect(parse(hash).view).toBe("unknown");
    },
  );

  it("keeps what a name has that addresses use themselves", () => {
    for (const name of ["a/b", "a?b=c", "a#L3", "a%20b", "<script>", "‮txt", "..", "a&b", " "]) {
      expect(parse(taskHref(name))).toMatchObject({ view: "task", name });
      expect(parse(workerHref(name, query("q=1")))).toMatchObject({ view: "worker", name });
    }
  });

  it("takes a link to lines as other pages write it", () => {
    const link = parse("#/workers/W#L120-L140");
    expect(link).toMatchObject({ view: "worker", name: "W" });
    expect(link.query.get("line")).toBe("120-140");
    expect(parse("#/workers/W?q=x#L7").query.toString()).toBe("q=x&line=7");
    expect(parse(lineHref("W", 7)).query.get("line")).toBe("7");
  });
});

describe("a query", () => {
  it("gets, changes and loses an entry, and the one before stays as it was", () => {
    const before = query("a=1&b=2");
    expect(withEntry(before, "a", "3").toString()).toBe("a=3&b=2");
    expect(withEntry(before, "c", "3").toString()).toBe("a=1&b=2&c=3");
    expect(withEntry(before, "b", "").toString()).toBe("a=1");
    expect(withEntry(before, "b", undefined).toString()).toBe("a=1");
    expect(before.toString()).toBe("a=1&b=2");
  });

  it("is divided without losing entries of the same name", () => {
    const [own, others] = divided(query("w=1&q=x&w=2"), ["w"]);
    expect(own.toString()).toBe("w=1&w=2");
    expect(others.toString()).toBe("q=x");
  });
});
