import { State } from "../ui/state";
import { clipped } from "../ui/names";
import { formatAgo, formatBytes, plural, visible } from "../values";
import { artifactLink, type Place } from "./address";
import { aliasesOf, type UsedArtifacts, type Version, versionName } from "./artifact";
import { instantOf } from "./run";

/** The artifacts that a run logged, and those that it used. */
export function RunArtifacts({ place, logged, used }: UsedArtifacts & { place: Place }) {
  if (logged.length + used.length === 0) {
    return (
      <State icon="row" title="No artifacts">
        <p>This run has neither logged nor used artifacts.</p>
      </State>
    );
  }
  return (
    <div class="run-artifacts">
      <h2>Logged: {plural(logged.length, "artifact")}</h2>
      {logged.length > 0 && <Versions place={place} versions={logged} hasType />}
      <h2>Used: {plural(used.length, "artifact")}</h2>
      {used.length > 0 && <Versions place={place} versions={used} hasType />}
    </div>
  );
}

interface VersionsProps {
  place: Place;
  versions: Version[];
  /** Whether the versions are of artifacts of several types. */
  hasType?: boolean;
  /** The number of the version that the page shows. */
  shown?: number | null;
}

/** A table of versions of artifacts. */
export function Versions({ place, versions, hasType, shown }: VersionsProps) {
  return (
    <div class="table-wrap">
      <table class="list versions">
        <thead>
          <tr>
            <th scope="col">Version</th>
            {hasType && <th scope="col" class="wide-only">Type</th>}
            <th scope="col" class="aliases">
              Aliases
            </th>
            <th scope="col" class="number">
              Size
            </th>
            <th scope="col" class="wide-only">
              Made
            </th>
          </tr>
        </thead>
        <tbody>
          {versions.map((version) => {
            const { name, project } = version.artifactSequence;
            const own = project ? { entity: project.entityName, project: project.name } : place;
            const link = artifactLink(own, version.artifactType.name, name, versionName(version));
            const at = new Date(instantOf(version.createdAt));
            const isShown = shown !== undefined && shown === version.versionIndex;
            return (
              <tr key={link} class={isShown ? "chosen" : ""}>
                <th scope="row">
                  <a href={link} aria-current={isShown ? "true" : undefined}>
                    {hasType && <bdi>{clipped(name)}:</bdi>}
                    {versionName(version)}
                  </a>
                </th>
                {hasType && (
                  <td class="wide-only">
                    <bdi>{clipped(version.artifactType.name)}</bdi>
                  </td>
                )}
                <td class="aliases">
                  <Aliases names={aliasesOf(version)} />
                </td>
                <td class="number">{formatBytes(Number(version.size))}</td>
                <td class="wide-only">
                  <time dateTime={at.toISOString()} title={at.toLocaleString()}>
                    {formatAgo(at)}
                  </time>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

export function Aliases({ names }: { names: string[] }) {
  return (
    <>
      {names.map((name) => (
        <span key={name} class="tag" title={visible(name)}>
          <bdi>{clipped(name)}</bdi>
        </span>
      ))}
    </>
  );
}
