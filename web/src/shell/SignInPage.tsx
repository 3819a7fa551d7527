import { Button, Code, PasswordInput, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { ProblemError } from "../api/client";
import { signIn } from "../api/session";
import { ErrorNotice } from "../feedback/ErrorNotice";
import icon from "../icon.svg";
import { usePageTitle } from "./usePageTitle";

/** What the service's own cure tells to programs, for somebody at a form. */
const cureOf = (error: Error): string | undefined =>
  error instanceof ProblemError && error.problem.status === 401
    ? "Copy the whole key, from wnw_ to its end. It may also have expired or been revoked."
    : undefined;

/** Takes an API key once; a cookie that no script can read stands for it afterwards. */
export function SignInPage() {
  usePageTitle("Sign in");
  const [key, setKey] = useState("");
  const queries = useQueryClient();
  const entry = useMutation({
    mutationFn: () => signIn(key.trim()),
    onSuccess: (session) => queries.setQueryData(["session"], session),
  });
  return (
    <main id="content" className="page">
      <Stack maw={440} mx="auto" mt={{ base: 24, sm: 90 }} className="card" p={28} gap="md">
        <span className="brand">
          <img src={icon} alt="" />
          Winnow
        </span>
        <div>
          <Title order={1} size="h3">
            Sign in
          </Title>
          <Text size="sm" c="dimmed" mt={4}>
            See which of your synthetic samples are worth training on.
          </Text>
        </div>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            entry.mutate();
          }}
        >
          <Stack gap="md">
            <PasswordInput
              label="API key"
              description="It is sent once and not kept in this page."
              placeholder="wnw_..."
              value={key}
              onChange={(event) => setKey(event.currentTarget.value)}
              autoComplete="off"
              visibilityToggleButtonProps={{ "aria-label": "Show or hide the key" }}
              required
              autoFocus
            />
            {entry.error && <ErrorNotice error={entry.error} cure={cureOf(entry.error)} />}
            <Button type="submit" loading={entry.isPending} disabled={!key.trim()}>
              Sign in
            </Button>
          </Stack>
        </form>
        <Text size="xs" c="dimmed">
          <Code>winnow up</Code> prints a first key and keeps it in the file <Code>api-key</Code> of
          its data folder.
        </Text>
      </Stack>
    </main>
  );
}
