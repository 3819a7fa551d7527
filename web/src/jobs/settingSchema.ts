/** What the JSON Schema of a setting says, in the terms of a form. */

export interface SettingSchema {
  title?: string;
  description?: string;
  symbol?: string;
  default?: unknown;
  type?: string;
  enum?: string[];
  const?: string;
  minimum?: number;
  maximum?: number;
  examples?: unknown[];
  items?: SettingSchema;
  anyOf?: SettingSchema[];
}

export interface MethodSchema {
  description?: string;
  properties: Record<string, SettingSchema>;
}

export type SettingKind =
  | { kind: "choice"; values: string[] }
  | { kind: "choices"; values: string[] }
  | { kind: "switch" }
  | { kind: "number"; isWhole: boolean; range: string; word: string | null }
  | { kind: "text"; suggestions: string[] };

/** How a setting is asked for. */
export function kindOf(schema: SettingSchema): SettingKind {
  const parts = schema.anyOf ?? [schema];
  const number = parts.find((part) => part.type === "integer" || part.type === "number");
  const list = parts.find((part) => part.type === "array");
  if (list?.items?.enum) return { kind: "choices", values: list.items.enum };
  if (parts.some((part) => part.type === "boolean")) return { kind: "switch" };
  if (number) {
    const word = parts.find((part) => part.const !== undefined)?.const ?? null;
    const range = `${number.minimum ?? "-∞"} to ${number.maximum ?? "∞"}`;
    return { kind: "number", isWhole: number.type === "integer", range, word };
  }
  const choice = parts.find((part) => part.enum);
  const isOpen = parts.some((part) => part.type === "string" && !part.enum);
  if (choice?.enum && !isOpen) return { kind: "choice", values: choice.enum };
  return { kind: "text", suggestions: choice?.enum ?? [] };
}

/** The value that a word in a number field stands for, or null where it is none. */
export function numberOf(text: string, isWhole: boolean): number | null {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) return null;
  return isWhole && !Number.isInteger(value) ? null : value;
}
