// Files in the folders that their paths name.

export interface FileEntry {
  path: string;
  size: number;
  mimetype: string;
  /** Its address on this server; null for a reference, whose content is elsewhere. */
  href: string | null;
  /** The address of a reference. */
  reference?: string | undefined;
}

export interface Folder {
  folders: Map<string, Folder>;
  files: [string, FileEntry][];
}

export function folderOf(files: FileEntry[]): Folder {
  const root: Folder = { folders: new Map(), files: [] };
  for (const file of files) {
    const parts = file.path.split("/");
    const name = parts.pop() ?? file.path;
    let folder = root;
    for (const part of parts) {
      const next = folder.folders.get(part) ?? { folders: new Map(), files: [] };
      folder.folders.set(part, next);
      folder = next;
    }
    folder.files.push([name, file]);
  }
  return root;
}

/** Returns how many files a folder has, with those in its folders. */
export function countOf(folder: Folder): number {
  return folder.files.length + [...folder.folders.values()].reduce((sum, it) => sum + countOf(it), 0);
}
