import { Autocomplete, MultiSelect, Select, Switch, TextInput } from "@mantine/core";

import { spelled } from "../format/words";
import { kindOf, numberOf, type SettingSchema } from "./settingSchema";

/** One setting of a job: its name, what it does, its range, and a field that fits it. */
export function SettingField(props: {
  name: string;
  schema: SettingSchema;
  value: unknown;
  error?: string;
  onChange: (value: unknown) => void;
}) {
  const { name, schema, value, error, onChange } = props;
  const kind = kindOf(schema);
  const symbol = schema.symbol ? ` (${schema.symbol})` : "";
  const label = `${spelled(name)}${symbol}`;
  switch (kind.kind) {
    case "choice":
      return (
        <Select
          label={label}
          description={schema.description}
          data={kind.values}
          value={String(value)}
          error={error}
          allowDeselect={false}
          onChange={(chosen) => onChange(chosen)}
        />
      );
    case "choices":
      return (
        <MultiSelect
          label={label}
          description={schema.description}
          data={kind.values}
          value={value as string[]}
          error={error}
          onChange={onChange}
        />
      );
    case "switch":
      return (
        <Switch
          label={label}
          description={schema.description}
          checked={Boolean(value)}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
      );
    case "number": {
      const hint = kind.word ? `"${kind.word}", or ${kind.range}.` : `${kind.range}.`;
      return (
        <TextInput
          label={label}
          description={`${schema.description ?? ""} ${hint}`}
          value={value === null ? "" : String(value)}
          error={error}
          inputMode={kind.word ? "text" : "decimal"}
          onChange={(event) => {
            const text = event.currentTarget.value;
            onChange(numberOf(text, kind.isWhole) ?? text);
          }}
        />
      );
    }
    case "text":
      return (
        <Autocomplete
          label={label}
          description={schema.description}
          data={kind.suggestions}
          value={value === null ? "" : String(value)}
          error={error}
          onChange={onChange}
        />
      );
  }
}
