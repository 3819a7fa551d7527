/** The before-and-after table out of a job's report, whose keys are the pipeline's own. */

export interface ReportRow {
  method: string;
  accuracy_mean: number;
  accuracy_ci95: [number, number];
  seeds: number;
  kept: number;
}

export interface Report {
  rows: ReportRow[];
  recommendation: string | null;
  measuredOn: string | null;
}

export function reportOf(raw: Record<string, unknown>): Report {
  const rows = Array.isArray(raw.rows) ? (raw.rows as ReportRow[]) : [];
  return {
    rows: rows.filter((row) => Number.isFinite(row.accuracy_mean) && Array.isArray(row.accuracy_ci95)),
    recommendation: typeof raw.recommendation === "string" ? raw.recommendation : null,
    measuredOn: typeof raw.measured_on === "string" ? raw.measured_on : null,
  };
}
