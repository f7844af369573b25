/** Says so where a view cannot be drawn, which is an error of the page itself, and offers to load it again. */

import { Component, type ComponentChildren } from "preact";
import { messageOf } from "../api";
import { useText } from "../i18n";
import { text } from "../text";

interface Props {
  children: ComponentChildren;
}

export class Fallback extends Component<Props, { error: string | null }> {
  override state = { error: null };

  static override getDerivedStateFromError(error: unknown) {
    return { error: messageOf(error) };
  }

  override render() {
    const { error } = this.state;
    return error === null ? this.props.children : <Broken error={error} />;
  }
}

function Broken({ error }: { error: string }) {
  const words = useText(text);
  return (
    <main id="main" tabIndex={-1}>
      <div class="note" role="alert">
        <h1>{words.broken}</h1>
        <p>{error}</p>
        <button type="button" class="button" onClick={() => location.reload()}>
          {words.reload}
        </button>
      </div>
    </main>
  );
}
