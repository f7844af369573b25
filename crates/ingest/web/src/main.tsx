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

const root = document.getElementById("page");
if (root) render(<Page />, root);
