import { useQueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";

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
  /** Of the dataset that an earlier try has made: the next one goes on with it. */
  datasetId: string | null;
  stopper: AbortController;
}

/** Uploads, one after the other, with progress; each can be stopped and tried again. */
export function useUploads() {
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
      errand.datasetId ??= (await dataOf(api.POST("/v1/datasets", { body: errand.dataset }))).id;
      await uploadContent(
        errand.datasetId,
        parcel.content,
        parcel.fileName,
        (fraction) => change(id, { fraction }),
        errand.stopper.signal,
      );
      forget(id);
      setArrivedName(errand.dataset.name);
    } catch (failure) {
      if (!errand.stopper.signal.aborted) change(id, { stage: "failed", error: failure as Error });
    } finally {
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

  return {
    uploads,
    arrivedName,
    start: (files: NamedFile[], role: Role, options: UploadOptions) => {
      const id = nextId.current++;
      const name = options.name.trim() || nameOfFiles(files) || role;
      errands.current.set(id, {
        files,
        dataset: {
          name,
          role,
          label_column: options.labelColumn.trim() || null,
          id_column: options.idColumn.trim() || null,
          image_size: Number(options.imageSize) || null,
        },
        datasetId: null,
        stopper: new AbortController(),
      });
      setArrivedName(null);
      setUploads((all) => [
        ...all,
        { id, role, name, fileCount: files.length, stage: "waiting", sizeBytes: 0, fraction: 0, error: null },
      ]);
      enqueue(id);
    },
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
