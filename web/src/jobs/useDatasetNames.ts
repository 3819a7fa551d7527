import { useQuery } from "@tanstack/react-query";

import { datasetsQuery } from "../api/queries";

/** Names of datasets by id; a short id where the name is not known. */
export function useDatasetNames(): (id: string | null) => string {
  const { data } = useQuery(datasetsQuery());
  const names = new Map(data?.items.map((item) => [item.id, item.name]));
  return (id) => (id === null ? "-" : (names.get(id) ?? id.slice(0, 8)));
}
