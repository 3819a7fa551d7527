import type { Dataset } from "../api/client";
import { Notice } from "../feedback/Notice";

/** What of a ready dataset, or of several, may have been meant otherwise; each is told once. */
export function Warnings({ warnings }: { warnings: Dataset["warnings"] }) {
  const told = new Map(warnings.map((warning) => [warning.detail, warning]));
  return [...told.values()].map((warning) => (
    <Notice key={warning.detail} title="Is this what you meant?" role="alert">
      {warning.detail} {warning.cure}
    </Notice>
  ));
}
