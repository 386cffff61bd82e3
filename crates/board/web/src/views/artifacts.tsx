// A project's artifacts: types, names, versions and aliases.

import { useState } from "preact/hooks";
import { artifactLink, type Place } from "../runs/address";
import { type ArtifactType, readCollections } from "../runs/artifact";
import { Versions } from "../runs/artifact-list";
import { usePolled } from "../runs/use-polled";
import { clipped } from "../ui/names";
import { Find } from "../ui/search";
import { State, Unread } from "../ui/state";
import { formatCount, plural, visible } from "../values";

/** The time between two reads of the list. */
const READ_MS = 10_000;

export function ArtifactsPage({ place }: { place: Place }) {
  const [search, setSearch] = useState("");
  const { value, error } = usePolled(() => readCollections(place), () => READ_MS, [place.entity, place.project]);
  if (!value) return <Unread error={error} title="The artifacts cannot be listed" what="Loading the artifacts…" />;
  if (value.every(({ collections }) => collections.length === 0)) {
    return (
      <main class="runs-main">
        <State icon="row" title="No artifacts yet">
          <p>A run logs files as an artifact:</p>
          <pre>{`artifact = wandb.Artifact("data", type="dataset")\nartifact.add_file("data.csv")\nrun.log_artifact(artifact)`}</pre>
        </State>
      </main>
    );
  }
  const matches = (text: string) => text.toLowerCase().includes(search.toLowerCase());
  const types = value
    .map((type) => ({ ...type, collections: type.collections.filter(({ name }) => matches(`${type.name} ${name}`)) }))
    .filter(({ collections }) => collections.length > 0);
  return (
    <main class="runs-main">
      <div class="runs-tools">
        <Find label="Find artifacts" onFind={setSearch} />
        {error && <span class="stale">Not up to date: {error.message}</span>}
      </div>
      {types.map((type) => (
        <TypeSection key={type.name} place={place} type={type} />
      ))}
      {types.length === 0 && <p class="muted">No artifact is called anything like this.</p>}
    </main>
  );
}

function TypeSection({ place, type }: { place: Place; type: ArtifactType }) {
  return (
    <section class="artifact-type">
      <h2>
        <bdi>{visible(type.name)}</bdi> <small>{plural(type.collections.length, "artifact")}</small>
      </h2>
      {type.collections.map(({ name, description, versions, total }) => (
        <div key={name}>
          <h3>
            <a href={artifactLink(place, type.name, name, "latest")} title={visible(name)}>
              <bdi>{clipped(name)}</bdi>
            </a>{" "}
            <small>
              {plural(total, "version")}
              {description ? ` · ${visible(description).slice(0, 200)}` : ""}
            </small>
          </h3>
          <Versions place={place} versions={versions} />
          {total > versions.length && (
            <p>
              <a href={artifactLink(place, type.name, name, "latest")}>All {formatCount(total)} versions</a>
            </p>
          )}
        </div>
      ))}
    </section>
  );
}
