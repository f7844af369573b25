/** What a person may choose for the page, in a small sheet below its button. */

import { useText } from "../i18n";
import { language, letterKeys, theme } from "../settings";
import { useCell } from "../store";
import { text } from "../text";
import { Icon } from "./Icon";
import { Segments } from "./Segments";

export function Settings() {
  const words = useText(text);
  const chosenTheme = useCell(theme);
  const chosenLanguage = useCell(language);
  const chosenKeys = useCell(letterKeys);
  return (
    <>
      <button type="button" class="button quiet icon-button" popovertarget="settings" title={words.settings}>
        <Icon of="gear" />
        <span class="unseen">{words.settings}</span>
      </button>
      <div id="settings" class="settings" popover="auto" role="dialog" aria-label={words.settings}>
        <div>
          <h2>{words.theme}</h2>
          <Segments
            label={words.theme}
            value={chosenTheme}
            onChoose={(value) => theme.set(value)}
            choices={[
              { value: "system", label: words.system },
              { value: "light", label: words.light },
              { value: "dark", label: words.dark },
            ]}
          />
        </div>
        <div>
          <h2>{words.language}</h2>
          <Segments
            label={words.language}
            value={chosenLanguage}
            onChoose={(value) => language.set(value)}
            choices={[
              { value: "system", label: words.system },
              { value: "en", label: "English" },
              { value: "ko", label: "한국어" },
            ]}
          />
        </div>
        <div>
          <h2>{words.letterKeys}</h2>
          <Segments
            label={words.letterKeys}
            value={chosenKeys}
            onChoose={(value) => letterKeys.set(value)}
            choices={[
              { value: "on", label: words.on },
              { value: "off", label: words.off },
            ]}
          />
        </div>
      </div>
    </>
  );
}
