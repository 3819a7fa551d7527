/** The before-and-after table out of a job's report, whose keys are the pipeline's own. */
import { factor } from "../format/words";

export interface ReportRow {
  method: string;
  accuracy_mean: number;
  accuracy_ci95: [number, number];
  seeds: number;
  kept: number;
  /** How often a reference sample counts beside the mean sample of the pool; older reports lack it. */
  reference_weight?: number;
}

/** Whom the support of the labels was asked of; reports of other methods have none. */
interface LabelSupport {
  labels_are_turned?: boolean;
}

export interface Report {
  rows: ReportRow[];
  /** The same for the weights that the job has written. */
  referenceWeight: number;
  recommendation: string | null;
  measuredOn: string | null;
  /** Whether, of two classes, most labels of the pool seem to name the other one. */
  labelsAreTurned: boolean;
}

export function reportOf(raw: Record<string, unknown>): Report {
  const rows = Array.isArray(raw.rows) ? (raw.rows as ReportRow[]) : [];
  return {
    rows: rows.filter((row) => Number.isFinite(row.accuracy_mean) && Array.isArray(row.accuracy_ci95)),
    referenceWeight: typeof raw.reference_weight === "number" ? raw.reference_weight : 1,
    recommendation: typeof raw.recommendation === "string" ? raw.recommendation : null,
    measuredOn: typeof raw.measured_on === "string" ? raw.measured_on : null,
    labelsAreTurned: (raw.label_support as LabelSupport | undefined)?.labels_are_turned === true,
  };
}

export const rowOf = (rows: ReportRow[], method: string | null): ReportRow | undefined =>
  rows.find((row) => row.method === method);

/** How often a reference sample counts in a row, in the digits that are shown. */
export const referenceWeight = (row: ReportRow): string => factor(row.reference_weight ?? 1);

/** That of the rows which do not choose it: more than 1 where a part stands for a large pool. */
export function usualReferenceWeight(rows: ReportRow[]): string {
  const before = rowOf(rows, "no_selection");
  return before ? referenceWeight(before) : "1";
}

/** What stands beside a row in which a reference sample counts otherwise than in most. */
export function referenceMark(row: ReportRow, rows: ReportRow[]): string | null {
  const weight = referenceWeight(row);
  return weight === usualReferenceWeight(rows) ? null : `reference × ${weight}`;
}
