import { useEffect, useState } from "react";

/** Cut, class and sample that are looked at; the address carries them, so that it can be shared. */
export function useCutState() {
  const [start] = useState(() => new URLSearchParams(window.location.search));
  const [threshold, setThreshold] = useState<number | null>(numberIn(start, "cut"));
  const [label, setLabel] = useState<number | null>(numberIn(start, "class"));
  const [sample, setSample] = useState<number | null>(numberIn(start, "sample"));
  useEffect(() => {
    // Browsers refuse more than a hundred changes of the address in half a minute.
    const timer = setTimeout(() => {
      const query = new URLSearchParams();
      if (threshold !== null) query.set("cut", String(threshold));
      if (label !== null) query.set("class", String(label));
      if (sample !== null) query.set("sample", String(sample));
      const tail = query.size > 0 ? `?${query}` : "";
      window.history.replaceState(window.history.state, "", `${window.location.pathname}${tail}`);
    }, 400);
    return () => clearTimeout(timer);
  }, [threshold, label, sample]);
  return { threshold, setThreshold, label, setLabel, sample, setSample };
}

function numberIn(query: URLSearchParams, name: string): number | null {
  const value = Number(query.get(name) ?? Number.NaN);
  return Number.isFinite(value) && value >= 0 ? value : null;
}
