/** Uploads of the whole dashboard: they go on while one looks at another view. */
import { useQueryClient } from "@tanstack/react-query";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useRef, useState } from "react";

import { api, dataOf, type Dataset, type Schemas } from "../api/client";
import { uploadContent } from "../api/upload";
import { type NamedFile, nameOfFiles, packFiles } from "./droppedFiles";

export type Role = Dataset["role"];
type Stage = "waiting" | "packing" | "sending" | "failed";

/** What is said beside the files; what is empty, the service finds for itself. */
export interface UploadOptions {
  name: string;
  labelColumn: string;
  idColumn: string;
  imageSize: string;
}

/** A folder or file on its way to the service. */
export interface Upload {
  id: number;
  /** Null until the service knows of it. */
  datasetId: string | null;
  role: Role;
  name: string;
  fileCount: number;
  stage: Stage;
  sizeBytes: number;
  fraction: number;
  error: Error | null;
}

interface Errand {
  files: NamedFile[];
  dataset: Schemas["DatasetCreate"];
  /** Of the dataset that an earlier try, or an earlier visit, has made: this one goes on with it. */
  datasetId: string | null;
  stopper: AbortController;
}

export type Uploads = ReturnType<typeof useQueue>;

const Context = createContext<Uploads | null>(null);

/** Holds the uploads, so that they outlive the view in which they were begun. */
export function UploadsProvider({ children }: { children: ReactNode }) {
  return <Context value={useQueue()}>{children}</Context>;
}

export function useUploads(): Uploads {
  const uploads = useContext(Context);
  if (!uploads) throw new Error("There is no UploadsProvider above this view.");
  return uploads;
}

/** Uploads, one after the other, with progress; each can be stopped and tried again. */
function useQueue() {
  const queries = useQueryClient();
  const [uploads, setUploads] = useState<Upload[]>([]);
  const [arrivedName, setArrivedName] = useState<string | null>(null);
  const errands = useRef(new Map<number, Errand>());
  const nextId = useRef(0);
  const tail = useRef(Promise.resolve());

  const change = useCallback((id: number, part: Partial<Upload>) => {
    setUploads((all) => all.map((item) => (item.id === id ? { ...item, ...part } : item)));
  }, []);

  const run = async (id: number) => {
    const errand = errands.current.get(id);
    if (!errand || errand.stopper.signal.aborted) return;
    try {
      change(id, { stage: "packing", fraction: 0, error: null });
      const parcel = await packFiles(errand.files, (fraction) => change(id, { fraction }));
      change(id, { stage: "sending", fraction: 0, sizeBytes: parcel.content.size });
      if (errand.datasetId === null) {
        errand.datasetId = (await dataOf(api.POST("/v1/datasets", { body: errand.dataset }))).id;
        change(id, { datasetId: errand.datasetId });
        void queries.invalidateQueries({ queryKey: ["datasets"] });
      }
      const dataset = await uploadContent(
        errand.datasetId,
        parcel.content,
        parcel.fileName,
        (fraction) => change(id, { fraction }),
        errand.stopper.signal,
      );
      queries.setQueryData(["dataset", dataset.id], dataset);
      // Else the list would still say for a moment that its file has not arrived.
      await queries.invalidateQueries({ queryKey: ["datasets"] });
      forget(id);
      setArrivedName(errand.dataset.name);
    } catch (failure) {
      if (!errand.stopper.signal.aborted) change(id, { stage: "failed", error: failure as Error });
      void queries.invalidateQueries({ queryKey: ["datasets"] });
    }
  };

  /** A large upload takes the whole connection, so that a second one waits for its end. */
  const enqueue = (id: number) => {
    tail.current = tail.current.then(() => run(id));
  };

  const forget = (id: number) => {
    errands.current.delete(id);
    setUploads((all) => all.filter((item) => item.id !== id));
  };

  const isBusy = uploads.some((item) => item.stage !== "failed");
  useEffect(() => {
    if (!isBusy) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [isBusy]);

  // Who signs out leaves nothing behind that goes on in the name of the session.
  useEffect(() => {
    const running = errands.current;
    return () => running.forEach((errand) => errand.stopper.abort());
  }, []);

  const add = (files: NamedFile[], dataset: Schemas["DatasetCreate"], datasetId: string | null) => {
    const id = nextId.current++;
    errands.current.set(id, { files, dataset, datasetId, stopper: new AbortController() });
    const { role, name } = dataset;
    setArrivedName(null);
    setUploads((all) => [
      // What failed before of the same dataset is told no more.
      ...all.filter((item) => datasetId === null || item.datasetId !== datasetId),
      { id, datasetId, role, name, fileCount: files.length, stage: "waiting", sizeBytes: 0, fraction: 0, error: null },
    ]);
    enqueue(id);
  };

  return {
    uploads,
    arrivedName,
    start: (files: NamedFile[], role: Role, options: UploadOptions) =>
      add(
        files,
        {
          name: options.name.trim() || nameOfFiles(files) || role,
          role,
          label_column: options.labelColumn.trim() || null,
          id_column: options.idColumn.trim() || null,
          image_size: Number(options.imageSize) || null,
        },
        null,
      ),
    /** Send the rest of the file of a dataset whose upload has broken off. */
    resume: (files: NamedFile[], dataset: Dataset) =>
      add(files, { name: dataset.name, role: dataset.role }, dataset.id),
    stop: (id: number) => {
      errands.current.get(id)?.stopper.abort();
      forget(id);
    },
    retry: (id: number) => {
      change(id, { stage: "waiting", error: null });
      enqueue(id);
    },
  };
}
