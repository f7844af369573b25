/** All tests, in one process: they share a browser. */

import "./opening.js";
