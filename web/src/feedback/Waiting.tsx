import { Skeleton, Stack, VisuallyHidden } from "@mantine/core";

/** Grey lines in place of what is being loaded. */
export function Waiting({ lines = 3, height = 26 }: { lines?: number; height?: number }) {
  return (
    <Stack gap="sm" role="status" aria-busy="true">
      <VisuallyHidden>Loading</VisuallyHidden>
      {Array.from({ length: lines }, (_, index) => (
        <Skeleton key={index} height={height} radius="md" />
      ))}
    </Stack>
  );
}
