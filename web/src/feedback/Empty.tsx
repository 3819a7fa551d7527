import { Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";

/** What stands where there is nothing yet, and what to do about it. */
export function Empty({ title, children }: { title: string; children?: ReactNode }) {
  return (
    <Stack align="center" gap="xs" py={44} px="md" ta="center">
      <Text fw={650} size="lg">
        {title}
      </Text>
      <Text c="dimmed" size="sm" maw={460} component="div">
        {children}
      </Text>
    </Stack>
  );
}
