import { Button, Title } from "@mantine/core";
import { Link } from "wouter";

import { Empty } from "../feedback/Empty";

export function NotFoundPage() {
  return (
    <div className="column">
      <Title order={1} size="h2">
        Not found
      </Title>
      <div className="card">
        <Empty title="There is nothing at this address">
          <Button mt="md" component={Link} href="/jobs">
            Go to jobs
          </Button>
        </Empty>
      </div>
    </div>
  );
}
