/** What the views ask the service for, each with its place in the cache. */
import { keepPreviousData, queryOptions, useInfiniteQuery } from "@tanstack/react-query";

import { api, dataOf, type Dataset, type Job } from "./client";
import { loadScores, loadMap } from "../results/columns";
import { arrivedParts } from "./upload";

const PENDING = ["created", "validating"];
const FINAL = ["succeeded", "failed", "cancelled"];
/** Results never change, so they are asked for once. */
const FOREVER = { staleTime: Infinity, gcTime: 10 * 60_000 };

export const isFinal = (job: Job): boolean => FINAL.includes(job.state);

export const datasetsQuery = () =>
  queryOptions({
    queryKey: ["datasets"],
    queryFn: () => dataOf(api.GET("/v1/datasets", { params: { query: { limit: 200 } } })),
    refetchInterval: (query) =>
      query.state.data?.items.some((item) => item.state === "validating") ? 1_000 : false,
  });

export const datasetQuery = (id: string) =>
  queryOptions({
    queryKey: ["dataset", id],
    queryFn: () =>
      dataOf(api.GET("/v1/datasets/{dataset_id}", { params: { path: { dataset_id: id } } })),
    refetchInterval: (query) => {
      const dataset = query.state.data as Dataset | undefined;
      return dataset && PENDING.includes(dataset.state) ? 1_000 : false;
    },
  });

/** How many bytes have arrived of a dataset that waits for its content. */
export const arrivedBytesQuery = (id: string) =>
  queryOptions({
    queryKey: ["arrived", id],
    queryFn: async () => {
      const parts = await arrivedParts(id);
      return [...parts.values()].reduce((sum, part) => sum + part.sizeBytes, 0);
    },
    // They may be on their way from another window.
    refetchInterval: 5_000,
  });

export function useRejections(id: string) {
  return useInfiniteQuery({
    queryKey: ["rejections", id],
    queryFn: ({ pageParam }) =>
      dataOf(
        api.GET("/v1/datasets/{dataset_id}/rejections", {
          params: { path: { dataset_id: id }, query: { limit: 50, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
}

export const jobsQuery = () =>
  queryOptions({
    queryKey: ["jobs"],
    queryFn: () => dataOf(api.GET("/v1/jobs", { params: { query: { limit: 200 } } })),
    refetchInterval: (query) =>
      query.state.data?.items.some((job) => !isFinal(job)) ? 2_000 : 15_000,
  });

export const jobQuery = (id: string) =>
  queryOptions({
    queryKey: ["job", id],
    queryFn: () => dataOf(api.GET("/v1/jobs/{job_id}", { params: { path: { job_id: id } } })),
  });

export const schemaQuery = () =>
  queryOptions({
    queryKey: ["schema"],
    queryFn: () => dataOf(api.GET("/v1/job-config-schema")),
    ...FOREVER,
  });

export const histogramQuery = (id: string, bins: number) =>
  queryOptions({
    queryKey: ["histogram", id, bins],
    queryFn: () =>
      dataOf(
        api.GET("/v1/jobs/{job_id}/histogram", {
          params: { path: { job_id: id }, query: { bins } },
        }),
      ),
    ...FOREVER,
  });

export const scoresQuery = (id: string) =>
  queryOptions({ queryKey: ["scores", id], queryFn: () => loadScores(id), ...FOREVER });

export const mapQuery = (id: string) =>
  queryOptions({ queryKey: ["map", id], queryFn: () => loadMap(id), retry: false, ...FOREVER });

export const reportQuery = (id: string) =>
  queryOptions({
    queryKey: ["report", id],
    queryFn: () =>
      dataOf(api.GET("/v1/jobs/{job_id}/report", { params: { path: { job_id: id } } })),
    ...FOREVER,
  });

export const tracesQuery = (id: string) =>
  queryOptions({
    queryKey: ["traces", id],
    queryFn: () =>
      dataOf(api.GET("/v1/jobs/{job_id}/traces", { params: { path: { job_id: id } } })),
    ...FOREVER,
  });

export const sampleQuery = (id: string, position: number) =>
  queryOptions({
    queryKey: ["sample", id, position],
    queryFn: () =>
      dataOf(
        api.GET("/v1/jobs/{job_id}/samples/{position}", {
          params: { path: { job_id: id, position } },
        }),
      ),
    ...FOREVER,
  });

export const previewsQuery = (datasetId: string, positions: readonly number[]) =>
  queryOptions({
    queryKey: ["previews", datasetId, positions],
    queryFn: () =>
      dataOf(
        api.GET("/v1/datasets/{dataset_id}/samples", {
          params: { path: { dataset_id: datasetId }, query: { position: [...positions] } },
        }),
      ),
    enabled: positions.length > 0,
    placeholderData: keepPreviousData,
    ...FOREVER,
  });

export const selectionsQuery = (id: string) =>
  queryOptions({
    queryKey: ["selections", id],
    queryFn: () =>
      dataOf(
        api.GET("/v1/jobs/{job_id}/selections", {
          params: { path: { job_id: id }, query: { limit: 100 } },
        }),
      ),
  });
