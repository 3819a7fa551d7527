import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";

import { ErrorNotice } from "./ErrorNotice";
import { Waiting } from "./Waiting";

/** A query's data in its view, or grey lines, or what went wrong. */
export function Answer<T>(props: {
  query: UseQueryResult<T, Error>;
  lines?: number;
  children: (data: T) => ReactNode;
}) {
  const { query } = props;
  if (query.data !== undefined) return <>{props.children(query.data)}</>;
  if (query.error) {
    return <ErrorNotice error={query.error} onRetry={() => void query.refetch()} />;
  }
  return <Waiting lines={props.lines ?? 3} />;
}
