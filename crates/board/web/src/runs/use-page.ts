import { useEffect, useState } from "preact/hooks";
import { type Page, pageOf } from "./address";

/** Returns the page that the address names, and how to go to another one without loading the document again. */
export function usePage(): [Page, (href: string) => void] {
  const read = () => pageOf(location.pathname, location.search);
  const [page, setPage] = useState(read);
  useEffect(() => {
    const onMove = () => setPage(read());
    addEventListener("popstate", onMove);
    return () => removeEventListener("popstate", onMove);
  }, []);
  const go = (href: string) => {
    history.pushState(null, "", href);
    setPage(read());
    scrollTo(0, 0);
  };
  return [page, go];
}

/** Returns the handler of clicks on links that stay in this document. Clicks for a new tab stay the browser's. */
export function follow(go: (href: string) => void) {
  return (event: MouseEvent) => {
    const link = (event.target as Element).closest("a");
    const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!link || !isPlain || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    const start = location.pathname.split("/").slice(0, 3).join("/");
    if (!link.pathname.startsWith(`${start}/runs`) && !link.pathname.startsWith(`${start}/artifacts`)) return;
    event.preventDefault();
    go(link.pathname + link.search + link.hash);
  };
}
