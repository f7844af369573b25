// The page: tasks, a task's workers, a worker's log. Everything from a log becomes a text node.

/** Rows that are kept in the document; older ones are in log.txt. */
const MAX_ROWS = 5000;
/** How often the lists look for news. */
const REFRESH_MS = 2000;

const main = document.getElementById("main");
const path = document.getElementById("path");
const status = document.getElementById("status");

/** Ends what the view before this one left running. */
let leave = () => {};

function element(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

function link(href, text) {
  const node = element("a", "", text);
  node.href = href;
  return node;
}

const taskLink = (task) => link(`#/tasks/${encodeURIComponent(task)}`, task);
const workerLink = (worker) => link(`#/workers/${encodeURIComponent(worker)}`, worker);
const workerApi = (worker, rest) => `/api/v1/workers/${encodeURIComponent(worker)}/${rest}`;

function ago(time) {
  const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time)) / 1000));
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

function table(headings, rows) {
  const head = element("tr", "", ...headings.map(([text, className]) => element("th", className, text)));
  const body = rows.map((cells) =>
    element("tr", "", ...cells.map((cell, at) => element("td", headings[at][1], cell))));
  return element("table", "", element("thead", "", head), element("tbody", "", ...body));
}

async function getJson(url) {
  const response = await fetch(url);
  const body = await response.json();
  if (!response.ok) throw new Error(body.message);
  return body;
}

/** Shows what `render` makes now and every few seconds, until the view is left. */
function refreshing(render) {
  let timer = 0;
  let left = false;
  const round = async () => {
    try {
      const view = await render();
      if (left) return;
      main.replaceChildren(view);
      status.textContent = "";
    } catch (error) {
      if (left) return;
      status.textContent = `cannot reach the server: ${error.message}`;
    }
    timer = setTimeout(round, REFRESH_MS);
  };
  round();
  return () => { left = true; clearTimeout(timer); };
}

function taskState(task) {
  if (task.failed > 0) return element("span", "bad", `${task.failed} failed`);
  if (task.open > 0) return element("span", "", `${task.open} running`);
  return element("span", "good", "done");
}

function showTasks() {
  path.replaceChildren("tasks");
  return refreshing(async () => {
    const { tasks } = await getJson("/api/v1/tasks");
    if (tasks.length === 0) {
      return element("p", "note", "No task has sent a line yet. This list fills by itself.");
    }
    const headings = [["Task"], ["State"], ["Workers", "number"], ["Lines", "number"], ["Last activity", "quiet"]];
    return table(headings, tasks.map((task) => [
      taskLink(task.task_id), taskState(task), String(task.workers), task.lines.toLocaleString(), ago(task.updated_at)]));
  });
}

function workerState(worker) {
  if (worker.state === "open") return element("span", "", "running");
  const bad = worker.exit_code !== 0 || !worker.complete;
  const incomplete = worker.complete ? "" : `, log incomplete: ${worker.reason}`;
  return element("span", bad ? "bad" : "good", `exit code ${worker.exit_code}${incomplete}`);
}

function showTask(task) {
  path.replaceChildren(link("#/", "tasks"), ` / ${task}`);
  return refreshing(async () => {
    const { workers } = await getJson(`/api/v1/tasks/${encodeURIComponent(task)}`);
    const headings = [["Worker"], ["State"], ["Lines", "number"], ["Lost", "number"], ["Last activity", "quiet"]];
    return table(headings, workers.map((worker) => [
      workerLink(worker.worker_id), workerState(worker), worker.lines.toLocaleString(), String(worker.lost), ago(worker.updated_at)]));
  });
}

function row(line) {
  const sequence = element("span", "sequence", String(line.sequence));
  if (line.gap) {
    const text = `lines ${line.sequence} to ${line.gap.last_sequence} are missing: ${line.gap.reason}`;
    return element("li", "gap", sequence, element("span", "text", text));
  }
  const node = element("li", "", sequence, element("span", "text", line.message));
  node.classList.add(["stdout", "stderr", "system"].includes(line.source) ? line.source : "other");
  return node;
}

function showWorker(worker) {
  const raw = link(workerApi(worker, "log.txt"), "log.txt");
  path.replaceChildren(link("#/", "tasks"), ` / ${worker} `, raw);
  const note = element("p", "note");
  note.hidden = true;
  const log = element("ol");
  log.id = "log";
  main.replaceChildren(note, log);

  let waiting = [];
  let frame = 0;
  // Many lines may come between two frames: the document changes once for all of them.
  const draw = () => {
    frame = 0;
    const atEnd = window.innerHeight + window.scrollY >= document.body.scrollHeight - 40;
    log.append(...waiting.slice(-MAX_ROWS).map(row));
    waiting = [];
    while (log.childElementCount > MAX_ROWS) log.firstElementChild.remove();
    const first = Number(log.firstElementChild?.firstElementChild.textContent ?? 1);
    if (first > 1) {
      note.hidden = false;
      note.textContent = `The last ${MAX_ROWS.toLocaleString()} lines. All of them are in log.txt.`;
    }
    if (atEnd) window.scrollTo(0, document.body.scrollHeight);
  };

  const events = new EventSource(workerApi(worker, "tail"));
  status.textContent = "connecting";
  events.onopen = () => { status.textContent = "live"; };
  events.onmessage = (event) => {
    waiting.push(JSON.parse(event.data));
    if (waiting.length > 2 * MAX_ROWS) waiting = waiting.slice(-MAX_ROWS);
    frame ||= requestAnimationFrame(draw);
  };
  // The browser connects again by itself and resumes after the last line that it has.
  events.onerror = () => {
    status.textContent = events.readyState === EventSource.CLOSED ? "this log cannot be read" : "reconnecting";
  };
  events.addEventListener("failed", (event) => {
    events.close();
    status.textContent = `this log cannot be read: ${JSON.parse(event.data).message}`;
  });
  events.addEventListener("end", (event) => {
    events.close();
    // Nothing more comes: what waits need not wait for a frame, which a hidden page never gets.
    cancelAnimationFrame(frame);
    draw();
    const end = JSON.parse(event.data);
    status.replaceChildren(workerState(end));
    path.replaceChildren(link("#/", "tasks"), " / ", taskLink(end.task_id), ` / ${worker} `, raw);
  });
  return () => { events.close(); cancelAnimationFrame(frame); };
}

function route() {
  leave();
  status.textContent = "";
  const [, view, name] = location.hash.split("/");
  if (view === "tasks" && name) leave = showTask(decodeURIComponent(name));
  else if (view === "workers" && name) leave = showWorker(decodeURIComponent(name));
  else leave = showTasks();
}

window.addEventListener("hashchange", route);
route();
