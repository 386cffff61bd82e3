// Artifacts as the API of W&B clients describes them.

import { api } from "../api";
import type { Place } from "./address";
import type { FileEntry } from "./folder";

/** One version of an artifact. */
export interface Version {
  versionIndex: number | null;
  size: number;
  createdAt: string;
  aliases: { alias: string }[];
  artifactSequence: { name: string; project: { name: string; entityName: string } | null };
  artifactType: { name: string };
}

const VERSION = `versionIndex size createdAt aliases { alias }
  artifactSequence { name project { name entityName } } artifactType { name }`;

export function versionName({ versionIndex }: { versionIndex: number | null }): string {
  return versionIndex === null ? "not complete" : `v${versionIndex}`;
}

/** Returns the aliases of a version without its own number. */
export function aliasesOf({ aliases, versionIndex }: Pick<Version, "aliases" | "versionIndex">): string[] {
  return aliases.map(({ alias }) => alias).filter((alias) => alias !== `v${versionIndex}`);
}

type Edges<T> = { totalCount: number; edges: { node: T }[] };

function nodes<T>(list: Edges<T> | null | undefined): T[] {
  return list?.edges.map(({ node }) => node) ?? [];
}

export interface UsedArtifacts {
  logged: Version[];
  used: Version[];
}

/** The most artifacts of a run, collections and versions that are listed. */
const MOST_LISTED = 1_000;

export async function readArtifactsOfRun({ entity, project }: Place, run: string): Promise<UsedArtifacts> {
  const query = `query Artifacts($entity: String, $project: String, $run: String!, $first: Int) {
    project(name: $project, entityName: $entity) { run(name: $run) {
      outputArtifacts(first: $first) { totalCount edges { node { ${VERSION} } } }
      inputArtifacts(first: $first) { totalCount edges { node { ${VERSION} } } } } } }`;
  type Run = { outputArtifacts: Edges<Version>; inputArtifacts: Edges<Version> };
  const variables = { entity, project, run, first: MOST_LISTED };
  const answer = await api.graphql<{ project: { run: Run | null } | null }>(query, variables);
  const found = answer.project?.run;
  return { logged: nodes(found?.outputArtifacts), used: nodes(found?.inputArtifacts) };
}

export interface Collection {
  name: string;
  description: string | null;
  versions: Version[];
  total: number;
}

export interface ArtifactType {
  name: string;
  collections: Collection[];
}

/** How many versions of each collection the page of a project lists. */
const FEW_VERSIONS = 5;

export async function readCollections({ entity, project }: Place): Promise<ArtifactType[]> {
  const query = `query Collections($entity: String, $project: String, $first: Int, $versions: Int) {
    project(name: $project, entityName: $entity) { artifactTypes(first: $first) { totalCount edges { node { name
      artifactCollections(first: $first) { totalCount edges { node { name description
        artifacts(first: $versions) { totalCount edges { node { ${VERSION} } } } } } } } } } } }`;
  type Raw = { name: string; description: string | null; artifacts: Edges<Version> };
  type Answer = { project: { artifactTypes: Edges<{ name: string; artifactCollections: Edges<Raw> }> } | null };
  const variables = { entity, project, first: MOST_LISTED, versions: FEW_VERSIONS };
  const answer = await api.graphql<Answer>(query, variables);
  return nodes(answer.project?.artifactTypes).map(({ name, artifactCollections }) => ({
    name,
    collections: nodes(artifactCollections).map(({ name, description, artifacts }) => ({
      name,
      description,
      versions: nodes(artifacts),
      total: artifacts.totalCount,
    })),
  }));
}

interface RunOf {
  name: string;
  displayName: string | null;
  state: string;
  project: { name: string; entityName: string } | null;
}

export interface ArtifactDetails extends Version {
  description: string | null;
  metadata: string | null;
  digest: string;
  updatedAt: string | null;
  tags: { name: string }[];
  createdBy: RunOf | null;
  usedBy: RunOf[];
  files: FileEntry[];
  fileCount: number;
  versions: Version[];
}

/** The most files that the page of an artifact lists. */
const MOST_FILES = 5_000;

/** Reads a version by its number or alias; null if there is none. */
export async function readArtifact({ entity, project }: Place, type: string, name: string, version: string): Promise<ArtifactDetails | null> {
  const run = "name displayName state project { name entityName }";
  const query = `query Artifact($entity: String, $project: String, $type: String!, $name: String!, $version: String!, $files: Int, $versions: Int) {
    project(name: $project, entityName: $entity) { artifactType(name: $type) {
      artifactCollection(name: $name) { artifacts(first: $versions) { totalCount edges { node { ${VERSION} } } } }
      artifact(name: $version) { ${VERSION} description metadata digest updatedAt tags { name }
        createdBy { ${run} } usedBy(first: 500) { totalCount edges { node { ${run} } } }
        files(first: $files) { totalCount edges { node { name sizeBytes mimetype url } } } } } } }`;
  const variables = { entity, project, type, name, version: `${name}:${version}`, files: MOST_FILES, versions: MOST_LISTED };
  type RawFile = { name: string; sizeBytes: number; mimetype: string; url: string | null };
  type Raw = Omit<ArtifactDetails, "usedBy" | "files" | "fileCount" | "versions"> & { usedBy: Edges<RunOf>; files: Edges<RawFile> };
  type Answer = { project: { artifactType: { artifact: Raw | null; artifactCollection: { artifacts: Edges<Version> } | null } | null } | null };
  const answer = await api.graphql<Answer>(query, variables);
  const found = answer.project?.artifactType?.artifact;
  if (!found) return null;
  return {
    ...found,
    usedBy: nodes(found.usedBy),
    files: nodes(found.files).map(fileEntry),
    fileCount: found.files.totalCount,
    versions: nodes(answer.project?.artifactType?.artifactCollection?.artifacts),
  };
}

function fileEntry({ name, sizeBytes, mimetype, url }: { name: string; sizeBytes: number; mimetype: string; url: string | null }): FileEntry {
  const size = Number(sizeBytes);
  const own = url === null ? null : storedAt(url);
  if (url !== null && own === null) return { path: name, size, mimetype, href: null, reference: url };
  return { path: name, size, mimetype, href: own };
}

/** Returns the path of an address of stored content: the server may write it with another name of its own. */
function storedAt(url: string): string | null {
  try {
    const { pathname, search } = new URL(url, location.origin);
    return pathname.startsWith("/storage/") && search.length > 1 ? pathname + search : null;
  } catch {
    return null;
  }
}
