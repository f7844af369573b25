/** All tests, in one process: they share a browser. */

import "./opening.js";
import "./window.js";
import "./list.js";
import "./task.js";
import "./timeline.js";
import "./ways.js";
import "./follow.js";
import "./choose.js";
import "./lines.js";
import "./groups.js";
import "./press.js";
import "./moments.js";
import "./late.js";
import "./filter.js";
import "./search.js";
import "./broken.js";
import "./hidden.js";
import "./hostile.js";
import "./people.js";
import "./screens.js";
import "./budget.js";
import "./long.js";
import "./firefox.js";
