// A run in full, and its files.

import { api } from "../api";
import { fileLink, type Place } from "./address";
import type { FileEntry } from "./folder";
import type { RunSummary } from "./run";

export interface RunDetails extends RunSummary {
  description: string | null;
  host: string | null;
  program: string | null;
  repo: string | null;
  commit: string | null;
  sweepName: string | null;
  historyLineCount: number;
}

export async function readRun({ entity, project }: Place, run: string): Promise<RunDetails | null> {
  const query = `query Run($entity: String, $project: String, $run: String!) {
    project(name: $project, entityName: $entity) { run(name: $run) { name tableName displayName state createdAt updatedAt heartbeatAt
      group jobType tags user { name } notes config summaryMetrics description host program repo commit sweepName
      historyLineCount } } }`;
  const answer = await api.graphql<{ project: { run: RunDetails | null } | null }>(query, { entity, project, run });
  return answer.project?.run ?? null;
}

/** The most files that the page of a run lists. */
const MOST_FILES = 5_000;

export async function readFiles(place: Place, run: string): Promise<{ files: FileEntry[]; total: number }> {
  const query = `query Files($entity: String, $project: String, $run: String!, $first: Int) {
    project(name: $project, entityName: $entity) { run(name: $run) {
      files(first: $first) { totalCount edges { node { name sizeBytes mimetype } } } } } }`;
  type Node = { name: string; sizeBytes: number; mimetype: string };
  type Answer = { project: { run: { files: { totalCount: number; edges: { node: Node }[] } } | null } | null };
  const answer = await api.graphql<Answer>(query, { ...place, run, first: MOST_FILES });
  const found = answer.project?.run?.files;
  const files = found?.edges.map(({ node: { name, sizeBytes, mimetype } }) => {
    return { path: name, size: Number(sizeBytes), mimetype, href: fileLink(place, run, name) };
  });
  return { files: files ?? [], total: found?.totalCount ?? 0 };
}
