import { Accordion, Button, Group, NumberInput, Select, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { Link, useLocation } from "wouter";

import { api, dataOf, type Dataset, ProblemError, type Schemas } from "../api/client";
import { datasetsQuery, schemaQuery } from "../api/queries";
import { Warnings } from "../datasets/Warnings";
import { Answer } from "../feedback/Answer";
import { Empty } from "../feedback/Empty";
import { ErrorNotice } from "../feedback/ErrorNotice";
import { counted, whole } from "../format/words";
import { usePageTitle } from "../shell/usePageTitle";
import { Estimate } from "./Estimate";
import { newestFitting, newestUsablePool } from "./fittingSets";
import { SettingField } from "./SettingField";
import type { MethodSchema } from "./settingSchema";

/** What most people look at; everything else waits under "All settings". */
const OFTEN_USED = ["keep", "balance", "encoder", "classifier", "steps", "evaluate"];

export function NewJobPage() {
  usePageTitle("New job");
  const datasets = useQuery(datasetsQuery());
  const schemas = useQuery(schemaQuery());
  return (
    <div className="column">
      <Title order={1} size="h2">
        New job
      </Title>
      <Answer query={datasets} lines={5}>
        {({ items }) => (
          <Answer query={schemas} lines={5}>
            {({ methods }) => (
              <JobForm
                ready={items.filter((item) => item.state === "ready")}
                methods={methods as unknown as Record<string, MethodSchema>}
              />
            )}
          </Answer>
        )}
      </Answer>
    </div>
  );
}

function JobForm(props: { ready: Dataset[]; methods: Record<string, MethodSchema> }) {
  const { ready, methods } = props;
  const newest = (role: string) => ready.find((item) => item.role === role)?.id ?? null;
  const [synthetic, setSynthetic] = useState(newestUsablePool(ready) ?? newest("synthetic"));
  const [reference, setReference] = useState(newestFitting(ready, "reference", synthetic) ?? newest("reference"));
  const [test, setTest] = useState(newestFitting(ready, "test", synthetic));
  const [method, setMethod] = useState(Object.keys(methods)[0] ?? "winnow");
  const [seed, setSeed] = useState<number | string>(0);
  const [changed, setChanged] = useState<Record<string, unknown>>({});
  const [, navigate] = useLocation();
  const queries = useQueryClient();
  const settings = methods[method]?.properties ?? {};
  const config = useMemo(
    () =>
      Object.fromEntries(
        Object.entries(changed).filter(
          ([name, value]) =>
            name in settings && JSON.stringify(value) !== JSON.stringify(settings[name]?.default),
        ),
      ),
    [changed, settings],
  );
  // A second press of the button asks for the same job, not for another one.
  const idempotencyKey = useMemo(
    () => crypto.randomUUID(),
    // eslint-disable-next-line react-hooks/exhaustive-deps
    [synthetic, reference, test, method, seed, config],
  );
  const body: Schemas["JobCreate"] = {
    synthetic_id: synthetic ?? "",
    reference_id: reference ?? "",
    test_id: test,
    // One of those that the service itself has listed.
    method: method as Schemas["JobCreate"]["method"],
    config: config as Record<string, never>,
    seed: Number(seed),
  };
  const creation = useMutation({
    mutationFn: () =>
      dataOf(
        api.POST("/v1/jobs", { params: { header: { "Idempotency-Key": idempotencyKey } }, body }),
      ),
    onSuccess: (job) => {
      void queries.invalidateQueries({ queryKey: ["jobs"] });
      navigate(`/jobs/${job.id}`);
    },
  });
  const estimation = useMutation({
    mutationFn: (asked: Schemas["JobCreate"]) => dataOf(api.POST("/v1/jobs:estimate", { body: asked })),
  });
  // What was said of other settings says nothing of these.
  const isEstimateCurrent = JSON.stringify(estimation.variables) === JSON.stringify(body);
  if (!newest("synthetic") || !newest("reference")) {
    return (
      <div className="card">
        <Empty title="Two datasets are needed first">
          A synthetic set to weigh, and a small reference set of real samples to weigh it against.
          <br />
          <Button mt="md" component={Link} href="/datasets">
            Upload datasets
          </Button>
        </Empty>
      </div>
    );
  }
  const warnings = ready
    .filter((item) => [synthetic, reference, test].includes(item.id))
    .flatMap((item) => item.warnings);
  const problem = creation.error instanceof ProblemError ? creation.error.problem : null;
  const field = (name: string) => {
    const schema = settings[name];
    if (!schema) return null;
    return (
      <SettingField
        key={name}
        name={name}
        schema={schema}
        value={name in changed ? changed[name] : schema.default}
        error={problem?.field === `config.${name}` ? problem.detail : undefined}
        onChange={(value) => setChanged((before) => ({ ...before, [name]: value }))}
      />
    );
  };
  const others = Object.keys(settings).filter((name) => !OFTEN_USED.includes(name));
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        creation.mutate();
      }}
    >
      <div className="column">
        <section className="card" aria-labelledby="data-heading">
          <div className="card-head">
            <h2 id="data-heading">Data</h2>
          </div>
          <SimpleGrid cols={{ base: 1, sm: 3 }} verticalSpacing="md">
            <DatasetSelect
              label="Synthetic set"
              description="Its samples get a weight each."
              ready={ready}
              role="synthetic"
              value={synthetic}
              onChange={(id) => {
                setSynthetic(id);
                setReference(newestFitting(ready, "reference", id) ?? reference);
                setTest(newestFitting(ready, "test", id));
              }}
            />
            <DatasetSelect
              label="Reference set"
              description="Real samples that you trust."
              ready={ready}
              role="reference"
              value={reference}
              onChange={setReference}
            />
            <DatasetSelect
              label="Test set"
              description="Else the reference set is cross-validated."
              ready={ready}
              role="test"
              value={test}
              onChange={setTest}
              isOptional
            />
          </SimpleGrid>
          <Stack gap="sm" mt={warnings.length > 0 ? "md" : 0}>
            <Warnings warnings={warnings} />
          </Stack>
        </section>
        <section className="card" aria-labelledby="method-heading">
          <div className="card-head">
            <h2 id="method-heading">Method</h2>
          </div>
          <SimpleGrid cols={{ base: 1, sm: 2 }} verticalSpacing="md">
            <Select
              label="Method"
              description={methods[method]?.description}
              data={Object.keys(methods)}
              value={method}
              allowDeselect={false}
              onChange={(value) => value && setMethod(value)}
            />
            <NumberInput
              label="Seed"
              description="The same seed and data give the same result."
              value={seed}
              min={0}
              allowDecimal={false}
              onChange={setSeed}
            />
            {OFTEN_USED.map(field)}
          </SimpleGrid>
        </section>
        <Accordion variant="separated" order={2}>
          <Accordion.Item value="all">
            <Accordion.Control>
              <Text fw={600}>All settings</Text>
              <Text size="sm" c="dimmed">
                {others.length} more, each with a default that suits most data
              </Text>
            </Accordion.Control>
            <Accordion.Panel>
              <SimpleGrid cols={{ base: 1, sm: 2 }} verticalSpacing="lg">
                {others.map(field)}
              </SimpleGrid>
            </Accordion.Panel>
          </Accordion.Item>
        </Accordion>
        <Stack gap="sm">
          {creation.error && <ErrorNotice error={creation.error} />}
          <Group>
            <Button type="submit" size="md" loading={creation.isPending} disabled={!synthetic || !reference}>
              Start job
            </Button>
            <Button
              variant="default"
              size="md"
              loading={estimation.isPending}
              disabled={!synthetic || !reference}
              onClick={() => estimation.mutate(body)}
            >
              Estimate
            </Button>
            <Text size="sm" c="dimmed">
              {Object.keys(config).length === 0
                ? "With the defaults"
                : `${counted(Object.keys(config).length, "setting")} changed`}
            </Text>
          </Group>
          {/* Below the buttons, so that the one just pressed stays where it was. */}
          <div role="status">
            {isEstimateCurrent && estimation.data && <Estimate estimate={estimation.data} />}
          </div>
          {isEstimateCurrent && estimation.error && <ErrorNotice error={estimation.error} />}
        </Stack>
      </div>
    </form>
  );
}

function DatasetSelect(props: {
  label: string;
  description: string;
  ready: Dataset[];
  role: Dataset["role"];
  value: string | null;
  onChange: (id: string | null) => void;
  isOptional?: boolean;
}) {
  const data = props.ready
    .filter((item) => item.role === props.role)
    .map((item) => ({ value: item.id, label: `${item.name} (${whole(item.sample_count ?? 0)})` }));
  return (
    <Select
      label={props.label}
      description={props.description}
      data={data}
      value={props.value}
      onChange={props.onChange}
      placeholder={props.isOptional ? "None" : "Choose one"}
      clearable={props.isOptional}
      clearButtonProps={{ "aria-label": "Take no test set" }}
      allowDeselect={false}
      searchable
    />
  );
}
