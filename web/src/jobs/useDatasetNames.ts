import { useQuery } from "@tanstack/react-query";

import { datasetsQuery } from "../api/queries";

/** Names of datasets by id; an ellipsis until they are loaded, a short id where one is not known. */
export function useDatasetNames(): (id: string | null) => string {
  const { data } = useQuery(datasetsQuery());
  const names = new Map(data?.items.map((item) => [item.id, item.name]));
  return (id) => {
    if (id === null) return "-";
    return data ? (names.get(id) ?? id.slice(0, 8)) : "…";
  };
}
