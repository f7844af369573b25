/** Lines as cargo prints them. */

const NAMES = [
  "proc-macro2",
  "unicode-ident",
  "quote",
  "syn",
  "serde",
  "serde_derive",
  "libc",
  "memchr",
  "bytes",
  "tokio",
];
const KINDS = ["core", "macros", "util", "sys", "derive", "types", "http", "stream", "codec", "test"];

const MODULES = ["cart", "checkout", "orders", "search", "stock", "users"];
const DOINGS = ["adds", "refuses", "keeps", "counts", "sorts", "rounds"];
const THINGS = ["a_thing", "an_empty_list", "the_last_one", "a_price", "what_is_gone", "two_at_once"];

/** Counted from the first, which is 0. */
const FAILING = 4;

export function crates(count: number): string[] {
  return Array.from({ length: count }, (_, at) => {
    const [name, kind] = [NAMES[at % NAMES.length], KINDS[Math.floor(at / NAMES.length) % KINDS.length]];
    const full = at < NAMES.length ? name : `${name}-${kind}`;
    return `\x1b[1;32m   Compiling\x1b[0m ${full} v${(at % 3) + 1}.${at % 17}.${(at * 7) % 23}`;
  });
}

/** One of them fails. */
export function cargoTests(count: number, failing: string): string[] {
  return Array.from({ length: count }, (_, at) => {
    if (at === FAILING) return `test ${failing} ... \x1b[31mFAILED\x1b[0m`;
    const [module, doing] = [MODULES[at % MODULES.length], DOINGS[Math.floor(at / 6) % DOINGS.length]];
    return `test ${module}::tests::${doing}_${THINGS[Math.floor(at / 36) % THINGS.length]} ... \x1b[32mok\x1b[0m`;
  });
}
