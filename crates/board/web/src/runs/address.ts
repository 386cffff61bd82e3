// The addresses of the pages of runs and artifacts: those of W&B, which its clients print.

import { path } from "../api";

export type Page =
  | { page: "runs"; compared: string[] }
  | { page: "run"; run: string; tab: Tab; file: string | null }
  | { page: "artifacts" }
  | { page: "artifact"; type: string; name: string; version: string };

export type Tab = "charts" | "overview" | "logs" | "files" | "artifacts" | "system";

/** The tabs of a run's page with their titles, in order. */
export const TABS: [Tab, string][] = [
  ["charts", "Charts"],
  ["overview", "Overview"],
  ["logs", "Console"],
  ["files", "Files"],
  ["artifacts", "Artifacts"],
  ["system", "System"],
];

/** The parts of W&B's addresses that have another name here. */
const OTHER_TABS: Record<string, Tab> = { workspace: "charts", code: "files", log: "logs" };

/** Reads the page from an address, `/{entity}/{project}/runs/…` or `/{entity}/{project}/artifacts/…`. */
export function pageOf(pathname: string, search = ""): Page {
  const [, , kind, ...rest] = pathname.split("/").filter(Boolean).map(decoded);
  if (kind === "artifacts") return artifactPage(rest);
  const [run, part = "charts", ...file] = rest;
  if (run === undefined) return { page: "runs", compared: new URLSearchParams(search).getAll("compare") };
  const tab = TABS.find(([name]) => name === part)?.[0] ?? OTHER_TABS[part] ?? "charts";
  return { page: "run", run, tab, file: tab === "files" && file.length > 0 ? file.join("/") : null };
}

/** W&B's clients write `T/N/V`, and `T/N/V/files`; a link without a version leads to the newest one. */
function artifactPage([type, name, version = "latest"]: string[]): Page {
  if (type === undefined || name === undefined) return { page: "artifacts" };
  return { page: "artifact", type, name, version };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The names in the addresses of a project. */
export interface Place {
  entity: string;
  project: string;
}

export function runsLink({ entity, project }: Place, compared: string[] = []): string {
  const query = compared.map((run) => `compare=${encodeURIComponent(run)}`).join("&");
  return `/${path(entity, project)}/runs${query && `?${query}`}`;
}

export function runLink({ entity, project }: Place, run: string, tab: Tab = "charts"): string {
  return `/${path(entity, project)}/runs/${encodeURIComponent(run)}${tab === "charts" ? "" : `/${tab}`}`;
}

export function artifactsLink({ entity, project }: Place): string {
  return `/${path(entity, project)}/artifacts`;
}

export function artifactLink({ entity, project }: Place, type: string, name: string, version: string): string {
  return `/${path(entity, project)}/artifacts/${path(type, name, version)}`;
}

/** The address of a file of a run. */
export function fileLink({ entity, project }: Place, run: string, file: string): string {
  return `/files/${path(entity, project, run, ...file.split("/"))}`;
}
