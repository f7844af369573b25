/** Puts the page into its document. */

import "./first";
import { render } from "preact";
import { applyLanguage } from "./i18n";
import { listenForKeys } from "./keys";
import { listenForNavigation } from "./navigation";
import { Page } from "./Page";
import { applyTheme } from "./settings";
import "./page.css";

applyTheme(document.documentElement);
applyLanguage(document.documentElement);
listenForKeys(document);
listenForNavigation();

// Answers that have come meanwhile are taken in before the page is made, and are in its first frame.
const { port1, port2 } = new MessageChannel();
port1.onmessage = () => {
  port1.close();
  const root = document.getElementById("page");
  if (root) render(<Page />, root);
};
port2.postMessage(null);
