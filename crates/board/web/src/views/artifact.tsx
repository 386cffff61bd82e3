// A version of an artifact: its metadata, files and runs.

import { type Place, runLink } from "../runs/address";
import { aliasesOf, type ArtifactDetails, readArtifact, versionName } from "../runs/artifact";
import { Aliases, Versions } from "../runs/artifact-list";
import { FieldsView } from "../runs/fields-view";
import { Files } from "../runs/files";
import { membersOf } from "../runs/json-text";
import { instantOf, titleOf } from "../runs/run";
import { RunState } from "../runs/state";
import { usePolled } from "../runs/use-polled";
import { clipped } from "../ui/names";
import { State, Unread } from "../ui/state";
import { formatBytes, plural, visible } from "../values";

interface ArtifactPageProps {
  place: Place;
  type: string;
  name: string;
  /** Its number, such as `v0`, or an alias. */
  version: string;
}

export function ArtifactPage({ place, type, name, version }: ArtifactPageProps) {
  const { value, error } = usePolled(
    () => readArtifact(place, type, name, version).then((artifact) => ({ artifact })),
    () => null,
    [place.entity, place.project, type, name, version],
  );
  if (!value) return <Unread error={error} title="The artifact cannot be read" what="Loading the artifact…" />;
  if (!value.artifact) {
    return (
      <State title="No such artifact">
        <p>
          There is no <b>{clipped(`${name}:${version}`)}</b> of type <b>{clipped(type)}</b> in {place.entity}/{place.project}.
        </p>
      </State>
    );
  }
  return <Shown place={place} type={type} name={name} artifact={value.artifact} />;
}

function Shown({ place, type, name, artifact }: Omit<ArtifactPageProps, "version"> & { artifact: ArtifactDetails }) {
  const at = new Date(instantOf(artifact.createdAt));
  const metadata = membersOf(artifact.metadata);
  const aliases = aliasesOf(artifact);
  return (
    <main class="runs-main">
      <header class="run-head">
        <h2 title={visible(name)}>
          <bdi>{visible(name)}</bdi>:{versionName(artifact)}
        </h2>
        <p class="run-line">
          <span>
            <bdi>{visible(type)}</bdi>
          </span>
          <span>
            <time dateTime={at.toISOString()}>{at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short", hour12: false })}</time>
          </span>
          <span>{formatBytes(Number(artifact.size))}</span>
          <Aliases names={[...aliases, ...artifact.tags.map(({ name }) => name)]} />
        </p>
        {artifact.description && <p class="notes">{artifact.description}</p>}
      </header>
      <div class="artifact-parts">
        <section aria-labelledby="files">
          <h2 id="files">Files</h2>
          {artifact.files.length === 0 ? (
            <p class="muted">This version has no files.</p>
          ) : (
            <Files files={artifact.files} total={artifact.fileCount} />
          )}
        </section>
        <div>
          <section aria-labelledby="lineage">
            <h2 id="lineage">Runs</h2>
            <dl class="run-facts">
              <div>
                <dt>Logged by</dt>
                <dd>{artifact.createdBy ? <RunLink place={place} run={artifact.createdBy} /> : "no run"}</dd>
              </div>
              <div>
                <dt>Used by</dt>
                <dd>
                  {artifact.usedBy.length === 0 && "no run"}
                  {artifact.usedBy.map((run) => (
                    <RunLink key={run.name} place={place} run={run} />
                  ))}
                </dd>
              </div>
              <div>
                <dt>Digest</dt>
                <dd>
                  <code>{artifact.digest}</code>
                </dd>
              </div>
            </dl>
          </section>
          {metadata.length > 0 && <FieldsView title="Metadata" fields={metadata} table="" isActive={false} />}
          <section aria-labelledby="versions">
            <h2 id="versions">{plural(artifact.versions.length, "version")}</h2>
            <Versions place={place} versions={artifact.versions} shown={artifact.versionIndex} />
          </section>
        </div>
      </div>
    </main>
  );
}

function RunLink({ place, run }: { place: Place; run: NonNullable<ArtifactDetails["createdBy"]> }) {
  const own = run.project ? { entity: run.project.entityName, project: run.project.name } : place;
  return (
    <p>
      <a href={runLink(own, run.name, "artifacts")} title={visible(titleOf(run))}>
        <bdi>{clipped(titleOf(run))}</bdi>
      </a>{" "}
      <RunState state={run.state} />
    </p>
  );
}

