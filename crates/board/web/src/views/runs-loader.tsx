// Loads the pages of runs, which the pages of tables and boards do not need.

import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { RunsStart } from "../start";
import { Loading, State } from "../ui/state";

type Props = { start: RunsStart };

export function Runs({ start }: Props) {
  const [found, setFound] = useState<{ Page?: FunctionComponent<Props>; isMissing?: boolean }>({});
  useEffect(() => {
    import("./runs-pages").then(
      ({ RunsPages }) => setFound({ Page: RunsPages }),
      () => setFound({ isMissing: true }),
    );
  }, []);
  if (found.isMissing) {
    return (
      <State title="The page cannot be loaded" isError>
        <p>The server cannot be reached, or it has a new version. Load the page again.</p>
      </State>
    );
  }
  const { Page } = found;
  return Page ? <Page start={start} /> : <Loading what="Loading the page…" />;
}
