// The pages of a project's monitors.

import { useEffect, useState } from "preact/hooks";
import { path } from "../api";
import { monitorsLink, newMonitorIn } from "../monitors/alert";
import { monitors } from "../monitors/api";
import { MonitorDetail } from "../monitors/detail";
import { completed, type MonitorDocument, newMonitor } from "../monitors/document";
import { MonitorEditor } from "../monitors/editor";
import { MonitorList, StartMonitor } from "../monitors/list";
import type { MonitorsStart } from "../start";
import { Bar, trailOf } from "../ui/bar";
import { toastError } from "../ui/toast";

/** The content of the page: the list or monitor that the address names, or a step of making or changing a monitor. */
type Shown =
  | { step: "list" }
  | { step: "start"; table: string }
  | { step: "edit"; name: string | null; document: MonitorDocument; etag: string }
  | { step: "detail"; name: string };

export function MonitorsPages({ start }: { start: MonitorsStart }) {
  const { entity, project, writes } = start;
  const place = { entity, project };
  const [shown, setShown] = useState<Shown>(() => shownAt(start));
  useEffect(() => {
    const read = () => setShown(shownAt(start));
    addEventListener("popstate", read);
    return () => removeEventListener("popstate", read);
  }, []);
  const go = (name: string) => {
    history.pushState(null, "", monitorsLink(entity, project, name));
    setShown(shownAt(start));
    scrollTo(0, 0);
  };
  const edit = async (name: string) => {
    try {
      const { document, etag } = await monitors.get(place, name);
      setShown({ step: "edit", name, document: completed(document), etag });
    } catch (error) {
      toastError(error);
    }
  };
  const leaf = "name" in shown && shown.name !== null ? shown.name : shown.step === "list" ? null : "New";
  const title = leaf ?? "Monitors";
  useEffect(() => {
    document.title = `${title} – ${entity}/${project} – StreamTable`;
  }, [title]);
  const trail = leaf === null ? [{ text: "Monitors" }] : [{ text: "Monitors", href: monitorsLink(entity, project) }, { text: leaf }];
  return (
    <div class="page">
      <Bar trail={[...trailOf(entity, project), ...trail]}>{!writes && <span class="read-only">read only</span>}</Bar>
      <nav class="project-tabs" aria-label="Parts of the project">
        <a href={monitorsLink(entity, project)} aria-current="true">
          Monitors
        </a>
        <a href={`/${path(entity, project)}`}>Tables and boards</a>
      </nav>
      {shown.step === "list" && <MonitorList place={place} writes={writes} onNew={() => setShown({ step: "start", table: "" })} />}
      {shown.step === "start" && (
        <StartMonitor place={place} table={shown.table} onStart={(document) => setShown({ step: "edit", name: null, document, etag: "new" })} />
      )}
      {shown.step === "detail" && <MonitorDetail key={shown.name} place={place} name={shown.name} writes={writes} onEdit={() => void edit(shown.name)} />}
      {shown.step === "edit" && (
        <MonitorEditor
          key={shown.name ?? ""}
          place={place}
          name={shown.name}
          first={shown.document}
          etag={shown.etag}
          onSaved={go}
          onClose={() => go(shown.name ?? "")}
        />
      )}
    </div>
  );
}

function shownAt({ writes }: MonitorsStart): Shown {
  const name = decodeURIComponent(location.pathname.split("/")[4] ?? "");
  if (name) return { step: "detail", name };
  const made = writes ? newMonitorIn(location.hash) : null;
  if (!made) return { step: "list" };
  const { table, title = "", value, where, group_by } = made;
  if (value === undefined) return { step: "start", table };
  const changes = { title, ...(where && { where }), ...(group_by && { group_by }), condition: { kind: "threshold" as const, value } };
  return { step: "edit", name: null, document: newMonitor(table, changes), etag: "new" };
}
