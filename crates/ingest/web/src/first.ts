/** What has to come before anything else of the page: `main` names it first. */

import { askFor } from "./early";

askFor(location.hash, (address) => fetch(address, { cache: "no-store" }));
