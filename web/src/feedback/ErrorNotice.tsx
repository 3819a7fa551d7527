import { Alert, Button, Code, Text } from "@mantine/core";

import { ProblemError } from "../api/client";

/** What went wrong, what helps, and a way to try again. */
export function ErrorNotice(props: { error: Error; cure?: string; onRetry?: () => void }) {
  const { error, onRetry } = props;
  const problem = error instanceof ProblemError ? error.problem : null;
  const cure = props.cure ?? problem?.cure;
  return (
    <Alert color="red" variant="light" title="That did not work" role="alert">
      <Text size="sm" c="var(--mantine-color-text)">
        {error.message}
      </Text>
      {cure && (
        <Text size="sm" mt={4} c="var(--mantine-color-text)">
          {cure}
        </Text>
      )}
      {problem && (
        <Text size="xs" mt={6} c="dimmed">
          <Code>{problem.reason}</Code>
          {problem.field ? ` in ${problem.field}` : ""}
        </Text>
      )}
      {onRetry && (
        <Button mt="sm" size="xs" variant="default" onClick={onRetry}>
          Try again
        </Button>
      )}
    </Alert>
  );
}
