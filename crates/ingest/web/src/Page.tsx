/** The view for the address. */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { useText } from "./i18n";
import { useKeys } from "./keys";
import { useRoute, useTitle } from "./navigation";
import type { Route } from "./route";
import { theme } from "./settings";
import { Fallback } from "./shell/Fallback";
import { Frame } from "./shell/Frame";
import { Help, openHelp } from "./shell/Help";
import { Toast } from "./shell/Toast";
import { TaskView } from "./task/TaskView";
import { TasksView } from "./tasks/TasksView";
import { text } from "./text";
import { WorkerView } from "./worker/WorkerView";

export function Page() {
  const words = useText(text);
  const route = useRoute();
  const keys = [
    { keys: ["?"], label: words.keyHelp, run: openHelp },
    { keys: ["D"], label: words.keyTheme, run: turnTheme },
  ];
  useKeys(words.everywhere, keys, true, "page");
  useFocusInView(placeOf(route));
  return (
    <>
      <button type="button" class="skip" onClick={focusMain}>
        {words.skip}
      </button>
      <Fallback key={placeOf(route)}>
        <View route={route} />
      </Fallback>
      <Help />
      <Toast />
    </>
  );
}

function View({ route }: { route: Route }) {
  switch (route.view) {
    case "tasks":
      return <TasksView query={route.query} />;
    case "task":
      return <TaskView key={route.name} name={route.name} query={route.query} />;
    case "worker":
      return <WorkerView key={route.name} name={route.name} query={route.query} />;
    case "unknown":
      return <UnknownView />;
  }
}

function UnknownView() {
  const words = useText(text);
  useTitle(words.unknownPage);
  return (
    <Frame crumbs={[{ label: words.tasks, href: "#/" }]} title={words.unknownPage}>
      <div class="note">
        <p>{words.unknownPage}</p>
        <a class="button" href="#/">
          {words.toTasks}
        </a>
      </div>
    </Frame>
  );
}

function placeOf(route: Route): string {
  return "name" in route ? `${route.view}/${route.name}` : route.view;
}

/** Not a link: the part behind the `#` is the address of the view. */
function focusMain(): void {
  document.getElementById("main")?.focus({ preventScroll: true });
}

/** Another view takes the focus that the one before it has left to nobody, so that its name is read out. */
function useFocusInView(place: string): void {
  const before = useRef(place);
  useLayoutEffect(() => {
    if (before.current === place) return;
    before.current = place;
    if (document.activeElement === document.body) focusMain();
  }, [place]);
  // A page that is opened lets the keys scroll at once.
  useEffect(() => {
    if (document.activeElement === document.body) focusMain();
  }, []);
}

/** The other of light and dark than what is shown. */
function turnTheme(): void {
  const dark = theme.value === "system" ? matchMedia("(prefers-color-scheme: dark)").matches : theme.value === "dark";
  theme.set(dark ? "light" : "dark");
}
