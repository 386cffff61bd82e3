// Parts of the page's script that are loaded when they are shown.

import type { FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Loading, State } from "./state";

/** Returns a component that loads its code when it is first shown. Until then it shows a text, if there is one. */
export function loaded<Props extends object>(
  load: () => Promise<FunctionComponent<Props>>,
  what: string | null = null,
): FunctionComponent<Props> {
  let known: FunctionComponent<Props> | null = null;
  return function Part(props: Props) {
    const [found, setFound] = useState<{ Inner: FunctionComponent<Props> | null; isMissing?: boolean }>({ Inner: known });
    useEffect(() => {
      if (found.Inner) return;
      load().then(
        (Inner) => {
          known = Inner;
          setFound({ Inner });
        },
        () => setFound({ Inner: null, isMissing: true }),
      );
    }, []);
    if (found.isMissing) {
      return (
        <State title="This part of the page cannot be loaded" isError>
          <p>The server cannot be reached, or it has a new version. Load the page again.</p>
        </State>
      );
    }
    const { Inner } = found;
    if (Inner) return <Inner {...props} />;
    return what === null ? null : <Loading what={what} />;
  };
}
