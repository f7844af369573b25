/** What the log of a worker is shown by. */
export interface LogViewProps {
  worker: string;
  /** The part of the address behind the `?`. */
  query: URLSearchParams;
  setQuery: (next: URLSearchParams, replace: boolean) => void;
  /** Of several logs on the page, the one that keys are for. */
  active: boolean;
}

export function LogView({ worker }: LogViewProps) {
  return <section aria-label={worker} />;
}
