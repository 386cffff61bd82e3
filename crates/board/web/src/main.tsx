// The entry point: renders the view that the server chose.

import { render } from "preact";
import { Connection } from "./live/connection";
import { MonitorsPages, RunsPages } from "./parts";
import { startPrinting } from "./print";
import { readStart } from "./start";
import { startTheme } from "./theme";
import { Toasts } from "./ui/toast";
import { Board } from "./views/board";
import { Home } from "./views/home";
import { Panel } from "./views/panel";

const start = readStart();

let only: Connection | null = null;

/** The page's one connection, for views that need one. */
function connection(): Connection {
  only ??= new Connection();
  return only;
}

function App() {
  switch (start.view) {
    case "home":
      return <Home start={start} />;
    case "board":
      return <Board start={start} connection={connection()} />;
    case "panel":
      return <Panel start={start} connection={connection()} />;
    case "monitors":
      return <MonitorsPages start={start} />;
    case "runs":
      return <RunsPages start={start} />;
  }
}

startTheme();
startPrinting();
const root = document.getElementById("app");
if (root) {
  render(
    <>
      <App />
      <Toasts />
    </>,
    root,
  );
}
