/** The name of a task or a worker. What would deceive the eye in it, or has no look of its own, is shown as a mark. */

import { pieces } from "../log/text";

export function Name({ of }: { of: string }) {
  return (
    <bdi>
      {pieces(of).map(({ text, control }, at) =>
        control === null ? (
          text
        ) : (
          // biome-ignore lint/suspicious/noArrayIndexKey: a name's parts stay where they are.
          <span key={at} class="quiet" title={control}>
            {text}
          </span>
        ),
      )}
    </bdi>
  );
}
