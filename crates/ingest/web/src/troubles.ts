/** Why a request has no answer, in words. */

import { ApiError, messageOf } from "./api";
import { type Catalog, textNow } from "./i18n";

const text: Catalog<Readonly<Record<string, string>>> = {
  en: {
    not_found: "The server does not know it (any more)",
    page_failed: "This page has an error",
    stopping: "The server is stopping",
    store_failed: "The server cannot read its files",
    too_many_readers: "The server reads too many logs at once now",
    too_many_scans: "The server looks through too many logs at once now",
    too_many_searches: "The server searches too much at once now",
    too_many_workers: "The task has too many workers to be shown as one log",
    unreachable: "log-ingest does not answer",
  },
  ko: {
    invalid_argument: "서버가 받지 않은 값",
    not_found: "서버에 (더 이상) 없습니다",
    page_failed: "이 페이지에 오류가 있습니다",
    stopping: "서버가 종료되는 중입니다",
    store_failed: "서버가 파일을 읽을 수 없습니다",
    too_many_readers: "서버가 지금 너무 많은 로그를 읽고 있습니다",
    too_many_scans: "서버가 지금 너무 많은 로그를 살펴보고 있습니다",
    too_many_searches: "서버가 지금 너무 많은 검색을 하고 있습니다",
    too_many_workers: "워커가 너무 많아 하나의 로그로 볼 수 없습니다",
    unreachable: "log-ingest가 응답하지 않습니다",
  },
};

/** What says more than its code does: which value, which file. */
const DETAILED = ["invalid_argument", "page_failed", "store_failed"];

/** In the language that the page is in now; what has no words of its own, as it came. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof ApiError)) return messageOf(error);
  const words = textNow(text);
  const told = Object.hasOwn(words, error.code) ? words[error.code] : undefined;
  if (told === undefined) return error.message;
  // Something before the server may have answered for it, and says how.
  const isDetailed = DETAILED.includes(error.code) || (error.code === "unreachable" && error.status > 0);
  return isDetailed && error.message !== "" ? `${told}: ${error.message}` : told;
}
