import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { addressOf, type Job, type JobEvent } from "../api/client";

const KINDS = [
  "created", "claimed", "phase", "checkpoint", "released", "requeued", "retried",
  "cancel_requested", "cancelled", "succeeded", "failed",
];

export interface JobStream {
  events: JobEvent[];
  /** Whether the connection is lost; it is tried again without anybody's doing. */
  isBroken: boolean;
}

/** A browser gives up on an answer that is no stream, such as a proxy's while the service restarts. */
const PAUSE_MILLISECONDS = 3000;

/** What has happened to a job, as it happens; the job itself is put into the cache. */
export function useJobStream(id: string, round: number): JobStream {
  const queries = useQueryClient();
  const [events, setEvents] = useState<JobEvent[]>([]);
  const [isBroken, setIsBroken] = useState(false);
  const [tries, setTries] = useState(0);
  useEffect(() => setEvents([]), [id, round]);
  useEffect(() => {
    let pause: ReturnType<typeof setTimeout> | undefined;
    const source = new EventSource(addressOf(`v1/jobs/${id}/events`));
    const take = (message: MessageEvent<string>) => {
      const event = JSON.parse(message.data) as JobEvent;
      setEvents((before) =>
        before.some((known) => known.id === event.id) ? before : [...before, event],
      );
    };
    for (const kind of KINDS) source.addEventListener(kind, take);
    source.addEventListener("progress", (message: MessageEvent<string>) => {
      queries.setQueryData(["job", id], JSON.parse(message.data) as Job);
    });
    source.addEventListener("end", () => source.close());
    source.onopen = () => setIsBroken(false);
    source.onerror = () => {
      setIsBroken(source.readyState !== EventSource.OPEN);
      if (source.readyState === EventSource.CLOSED) {
        pause = setTimeout(() => setTries((count) => count + 1), PAUSE_MILLISECONDS);
      }
    };
    return () => {
      clearTimeout(pause);
      source.close();
    };
  }, [id, round, tries, queries]);
  return { events, isBroken };
}
