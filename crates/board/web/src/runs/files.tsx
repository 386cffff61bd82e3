// A tree of files with their sizes, downloads, and previews of pictures and texts.

import { useEffect, useState } from "preact/hooks";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icon";
import { Picture } from "../ui/picture";
import { Loading } from "../ui/state";
import { formatBytes, plural, visible } from "../values";
import { countOf, type FileEntry, type Folder, folderOf } from "./folder";

/** Folders of so few files are open at first. */
const FEW_FILES = 20;

/** How much of a text is shown. */
const PREVIEW_BYTES = 200_000;

/** Types of texts that are shown, beside those that begin with `text/`. */
const TEXTS = /\.(cfg|conf|csv|diff|ini|json|jsonl|log|md|patch|py|rs|sh|toml|tsv|txt|yaml|yml)$/i;

interface FilesProps {
  files: FileEntry[];
  /** How many files there are: more than `files` if the list is cut. */
  total: number;
  /** The file whose preview is open at first, or the folder that is open. */
  first?: string | null;
}

export function Files({ files, total, first = null }: FilesProps) {
  const [opened, setOpened] = useState(() => files.find(({ path }) => path === first) ?? null);
  const root = folderOf(files);
  const size = files.reduce((sum, file) => sum + file.size, 0);
  return (
    <>
      <p class="muted">
        {plural(total, "file")}, {formatBytes(size)}
        {total > files.length ? `; the first ${files.length} are listed` : ""}
      </p>
      <div class="file-tree">
        <FolderView folder={root} path="" first={first} onOpen={setOpened} />
      </div>
      {opened && <Preview file={opened} onClose={() => setOpened(null)} />}
    </>
  );
}

interface FolderViewProps {
  folder: Folder;
  path: string;
  first: string | null;
  onOpen(file: FileEntry): void;
}

function FolderView({ folder, path, first, onOpen }: FolderViewProps) {
  const folders = [...folder.folders].sort(([a], [b]) => a.localeCompare(b));
  const files = [...folder.files].sort(([a], [b]) => a.localeCompare(b, undefined, { numeric: true }));
  return (
    <ul>
      {folders.map(([name, inner]) => {
        const here = `${path}${name}/`;
        const isOpen = countOf(inner) <= FEW_FILES || `${first ?? ""}/`.startsWith(here);
        return (
          <li key={here}>
            <details open={isOpen}>
              <summary>
                <bdi>{visible(name)}</bdi>/ <small>{plural(countOf(inner), "file")}</small>
              </summary>
              <FolderView folder={inner} path={here} first={first} onOpen={onOpen} />
            </details>
          </li>
        );
      })}
      {files.map(([name, file]) => (
        <li key={file.path} class="file">
          <FileName name={name} file={file} onOpen={onOpen} />
          {(file.href || file.size > 0) && <small class="number">{formatBytes(file.size)}</small>}
          {file.href && (
            <a class="button plain bare" href={file.href} download={name} title="Download" aria-label={`Download ${visible(file.path)}`}>
              <Icon name="download" />
            </a>
          )}
        </li>
      ))}
    </ul>
  );
}

function FileName({ name, file, onOpen }: { name: string; file: FileEntry; onOpen(file: FileEntry): void }) {
  if (file.reference !== undefined) {
    const isWeb = /^https?:\/\//.test(file.reference);
    return (
      <span>
        <bdi>{visible(name)}</bdi>{" "}
        <small>
          at {isWeb ? <a href={file.reference} target="_blank" rel="noopener noreferrer">{visible(file.reference)}</a> : visible(file.reference)}
        </small>
      </span>
    );
  }
  if (!canPreview(file)) return <bdi>{visible(name)}</bdi>;
  return (
    <button type="button" class="link" onClick={() => onOpen(file)}>
      <bdi>{visible(name)}</bdi>
    </button>
  );
}

function isPicture({ mimetype }: FileEntry): boolean {
  return mimetype.startsWith("image/") && mimetype !== "image/tiff" && mimetype !== "image/heic";
}

function canPreview(file: FileEntry): boolean {
  return file.href !== null && (isPicture(file) || TEXTS.test(file.path) || file.mimetype.startsWith("text/plain"));
}

function Preview({ file, onClose }: { file: FileEntry; onClose(): void }) {
  const href = file.href ?? "";
  const name = file.path.split("/").at(-1) ?? file.path;
  return (
    <Dialog title={visible(file.path)} onClose={onClose} wide>
      {isPicture(file) ? (
        <div class="lightbox">
          <Picture url={href} alt={name} width={undefined} />
        </div>
      ) : (
        <TextPreview href={href} size={file.size} />
      )}
      <footer>
        <small>{formatBytes(file.size)}</small>
        <a class="button plain" href={href} download={name}>
          <Icon name="download" />
          <span>Download</span>
        </a>
      </footer>
    </Dialog>
  );
}

function TextPreview({ href, size }: { href: string; size: number }) {
  const [text, setText] = useState<string | null>(null);
  const [error, setError] = useState("");
  useEffect(() => {
    const abort = new AbortController();
    const load = async () => {
      const headers = { range: `bytes=0-${PREVIEW_BYTES - 1}` };
      const answer = await fetch(href, { credentials: "same-origin", signal: abort.signal, ...(size > 0 && { headers }) });
      if (!answer.ok) throw new Error(`the server answered ${answer.status}`);
      setText(await answer.text());
    };
    load().catch((error: Error) => abort.signal.aborted || setError(error.message));
    return () => abort.abort();
  }, [href]);
  if (error) return <p class="stale">The file cannot be shown: {error}</p>;
  if (text === null) return <Loading what="Loading the file…" />;
  return (
    <>
      <pre class="preview" tabIndex={0}>
        {text}
      </pre>
      {size > PREVIEW_BYTES && <p class="muted">The first {formatBytes(PREVIEW_BYTES)} of {formatBytes(size)}.</p>}
    </>
  );
}
