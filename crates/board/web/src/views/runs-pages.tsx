// The pages of a project's runs and artifacts.

import { useEffect } from "preact/hooks";
import { path } from "../api";
import { artifactsLink, runsLink } from "../runs/address";
import { follow, usePage } from "../runs/use-page";
import type { RunsStart } from "../start";
import { Bar, trailOf } from "../ui/bar";
import { ArtifactPage } from "./artifact";
import { ArtifactsPage } from "./artifacts";
import { ComparePage } from "./compare";
import { RunPage } from "./run";
import { RunsPage } from "./runs";

export function RunsPages({ start }: { start: RunsStart }) {
  const [page, go] = usePage();
  const place = { entity: start.entity, project: start.project };
  const trail = trailFor(start, page);
  const title = trail.at(-1)?.text ?? "";
  useEffect(() => {
    document.title = `${title} – ${start.entity}/${start.project} – StreamTable`;
  }, [title]);
  return (
    <div class="page" onClick={follow(go)}>
      <Bar trail={trail} />
      <nav class="project-tabs" aria-label="Parts of the project">
        <a href={runsLink(place)} aria-current={page.page.startsWith("run") ? "true" : undefined}>
          Runs
        </a>
        <a href={artifactsLink(place)} aria-current={page.page.startsWith("artifact") ? "true" : undefined}>
          Artifacts
        </a>
        <a href={`/${path(start.entity, start.project)}`}>Tables and boards</a>
      </nav>
      <Content start={start} page={page} go={go} />
    </div>
  );
}

type Page = ReturnType<typeof usePage>[0];

function Content({ start, page, go }: { start: RunsStart; page: Page; go(href: string): void }) {
  const place = { entity: start.entity, project: start.project };
  switch (page.page) {
    case "runs":
      return page.compared.length > 0 ? <ComparePage place={place} runs={page.compared} /> : <RunsPage place={place} go={go} />;
    case "run":
      return <RunPage key={page.run} start={start} place={place} run={page.run} tab={page.tab} file={page.file} />;
    case "artifacts":
      return <ArtifactsPage place={place} />;
    case "artifact":
      return <ArtifactPage place={place} type={page.type} name={page.name} version={page.version} />;
  }
}

function trailFor({ entity, project }: RunsStart, page: Page) {
  const place = { entity, project };
  const head = trailOf(entity, project);
  switch (page.page) {
    case "runs":
      return page.compared.length > 0
        ? [...head, { text: "Runs", href: runsLink(place) }, { text: "Comparison" }]
        : [...head, { text: "Runs" }];
    case "run":
      return [...head, { text: "Runs", href: runsLink(place) }, { text: page.run }];
    case "artifacts":
      return [...head, { text: "Artifacts" }];
    case "artifact":
      return [...head, { text: "Artifacts", href: artifactsLink(place) }, { text: `${page.name}:${page.version}` }];
  }
}

