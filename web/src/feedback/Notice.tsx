import { Alert } from "@mantine/core";
import type { ReactNode } from "react";

/** Something that is no fault, but may not be what was meant. */
export function Notice(props: { title: string; role?: "alert" | "status"; children: ReactNode }) {
  return (
    <Alert
      className="notice"
      variant="light"
      title={props.title}
      role={props.role ?? "status"}
      styles={{ title: { color: "var(--winnow-dropped-text)" }, message: { color: "var(--mantine-color-text)" } }}
    >
      {props.children}
    </Alert>
  );
}
