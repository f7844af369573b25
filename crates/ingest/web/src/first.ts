/** What has to come before anything else of the page: `main` names it first. */

import { askFor } from "./early";

// A page that is opened behind others may be looked at much later, and asks then.
if (!document.hidden)
  askFor(location.hash, history.state, (address, signal) => fetch(address, { cache: "no-store", signal }));
