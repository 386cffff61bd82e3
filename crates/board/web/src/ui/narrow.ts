import { useEffect, useState } from "preact/hooks";

const narrow = matchMedia("(width < 640px)");

/** Returns whether the page is as narrow as a phone's: tools are in menus then. */
export function useNarrow(): boolean {
  const [isNarrow, setNarrow] = useState(narrow.matches);
  useEffect(() => {
    const update = () => setNarrow(narrow.matches);
    narrow.addEventListener("change", update);
    return () => narrow.removeEventListener("change", update);
  }, []);
  return isNarrow;
}
