import { Alert, Text } from "@mantine/core";

import type { Dataset } from "../api/client";

/** What of a ready dataset, or of several, may have been meant otherwise; each is told once. */
export function Warnings({ warnings }: { warnings: Dataset["warnings"] }) {
  const told = new Map(warnings.map((warning) => [warning.detail, warning]));
  return [...told.values()].map((warning) => (
    <Alert key={warning.detail} color="yellow" variant="light" title="Is this what you meant?">
      <Text size="sm" c="var(--mantine-color-text)">
        {warning.detail}
      </Text>
      <Text size="sm" mt={4} c="var(--mantine-color-text)">
        {warning.cure}
      </Text>
    </Alert>
  ));
}
