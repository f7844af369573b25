/** Why lines are missing, in words. */

import { type Catalog, useText } from "./i18n";

const text: Catalog<Readonly<Record<string, string>>> = {
  en: {
    agent_gone: "the agent is gone",
    buffer_full: "the agent's buffer was full",
    flush_interrupted: "the agent was stopped before it had sent them",
    flush_timeout: "the server could not be reached in time",
    line_refused: "the server refused them",
    log_refused: "the server refused the log",
    message_too_large: "the line was too large",
    retention: "deleted, as they were too old or too many",
    server_full: "the server had no room for them",
    server_lost: "the server has lost them",
    spool_damaged: "the agent's files were damaged",
    store_damaged: "the server's files were damaged",
  },
  ko: {
    agent_gone: "에이전트가 사라짐",
    buffer_full: "에이전트의 버퍼가 가득 참",
    flush_interrupted: "보내기 전에 에이전트가 중지됨",
    flush_timeout: "제시간에 서버에 연결하지 못함",
    line_refused: "서버가 받지 않음",
    log_refused: "서버가 로그를 받지 않음",
    message_too_large: "줄이 너무 큼",
    retention: "보관 기한이나 보관량을 넘겨 삭제됨",
    server_full: "서버에 자리가 없음",
    server_lost: "서버가 잃어버림",
    spool_damaged: "에이전트의 파일이 손상됨",
    store_damaged: "서버의 파일이 손상됨",
  },
};

/** Gives a reason in words; one that is not known, as it came. */
export function useReason(): (code: string) => string {
  const words = useText(text);
  return (code) => (Object.hasOwn(words, code) ? words[code] : undefined) ?? code;
}
