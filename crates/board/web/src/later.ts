// What few readers need: loaded when it is first shown, as one part, so that what it shares with the rest stays one part too.

export { AddPanel } from "./board/add";
export { DriftPanel } from "./board/drift-panel";
export { EventsDialog } from "./board/events-dialog";
export { QueryDialog, SqlPanel } from "./board/sql-panel";
export { Versions } from "./board/versions";
export { RowNotes } from "./ui/notes";
export { MonitorsPages } from "./views/monitors-pages";
export { RunsPages } from "./views/runs-pages";
