/** Files out of a drop or a picker: one file goes as it is, a folder becomes a zip. */
import { Zip, ZipPassThrough } from "fflate";

export interface NamedFile {
  path: string;
  file: File;
}

/** The earliest that a zip can hold. */
const MEMBER_TIME = new Date(1980, 0, 1);

export interface Package {
  fileName: string;
  content: Blob;
  fileCount: number;
}

/** All files of a drop, folders included, with their paths. */
export async function filesOfDrop(items: DataTransferItemList): Promise<NamedFile[]> {
  // The list is emptied as soon as the event is over, so entries are taken first.
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  const found = await Promise.all(entries.map(filesUnder));
  return found.flat();
}

/** The same for what an input element has picked. */
export function filesOfPicker(list: FileList): NamedFile[] {
  return [...list].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** The name of the folder, or of the file without its endings. */
export function nameOfFiles(files: readonly NamedFile[]): string {
  const path = files[0]?.path ?? "";
  const [root] = path.split("/");
  const name = path.includes("/") ? root : path.replace(/(\.tar)?\.[a-z]+$/i, "");
  return (name ?? "").slice(0, 200);
}

/** Whether these are several folders of classes, each of which is to be a dataset of its own. */
export function areSeveralSets(files: readonly NamedFile[]): boolean {
  const parts = files.map((item) => item.path.split("/"));
  return new Set(parts.filter((path) => path.length > 2).map(([root]) => root)).size > 1;
}

async function filesUnder(entry: FileSystemEntry): Promise<NamedFile[]> {
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject),
    );
    return [{ path: entry.fullPath.replace(/^\//, ""), file }];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: NamedFile[] = [];
  // A reader gives a hundred entries at a time, and none when it is done.
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
    if (batch.length === 0) return files;
    for (const child of batch) files.push(...(await filesUnder(child)));
  }
}

/** What is sent for these files: the one file, or a zip of the folder without its own name. */
export async function packFiles(
  files: readonly NamedFile[],
  onProgress: (fraction: number) => void,
): Promise<Package> {
  const [first] = files;
  if (!first) throw new Error("There is no file in what was dropped.");
  if (files.length === 1 && !first.path.includes("/")) {
    return { fileName: first.file.name, content: first.file, fileCount: 1 };
  }
  const root = first.path.split("/")[0] ?? "folder";
  const isOneFolder = files.every((item) => item.path.startsWith(`${root}/`));
  // The same folder makes the same zip each time, byte by byte, however it was handed over: what
  // has arrived of a broken upload is known by its hash.
  const ordered = files.toSorted((left, right) => (left.path < right.path ? -1 : 1));
  const pieces: BlobPart[] = [];
  const zip = new Zip();
  const done = new Promise<void>((resolve, reject) => {
    zip.ondata = (error, data, isLast) => {
      if (error) reject(error);
      else pieces.push(data as Uint8Array<ArrayBuffer>);
      if (isLast) resolve();
    };
  });
  for (const [index, item] of ordered.entries()) {
    // Images are compressed already; to store them costs no time.
    const name = isOneFolder ? item.path.slice(root.length + 1) : item.path;
    const member = new ZipPassThrough(name);
    member.mtime = MEMBER_TIME;
    zip.add(member);
    member.push(new Uint8Array(await item.file.arrayBuffer()), true);
    onProgress((index + 1) / files.length);
  }
  zip.end();
  await done;
  return {
    fileName: `${isOneFolder ? root : "files"}.zip`,
    content: new Blob(pieces, { type: "application/zip" }),
    fileCount: files.length,
  };
}
