// Parts of the page that are loaded when they are shown.

import { loaded } from "./ui/part";

const later = () => import("./later");

export const AddPanel = loaded(async () => (await later()).AddPanel);
export const DriftPanel = loaded(async () => (await later()).DriftPanel, "Loading…");
export const EventsDialog = loaded(async () => (await later()).EventsDialog);
export const MonitorsPages = loaded(async () => (await later()).MonitorsPages, "Loading the page…");
export const QueryDialog = loaded(async () => (await later()).QueryDialog);
export const RowNotes = loaded(async () => (await later()).RowNotes);
export const RunsPages = loaded(async () => (await later()).RunsPages, "Loading the page…");
export const SqlPanel = loaded(async () => (await later()).SqlPanel, "Loading…");
export const Versions = loaded(async () => (await later()).Versions);
