/** The API as typed calls: cookies carry the session, a header proves that a page of ours asks. */
import createClient from "openapi-fetch";

import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Dataset = Schemas["DatasetView"];
export type Job = Schemas["JobView"];
/** An event of a job's stream, which the OpenAPI document does not describe. */
export interface JobEvent {
  id: number;
  job_id: string;
  at: string;
  kind: string;
  data: Record<string, unknown>;
}
export type Selection = Schemas["SelectionView"];
export type Sample = Schemas["SampleView"];
export type Preview = Schemas["PreviewView"];
export type Weight = Schemas["WeightView"];
export type Problem = Schemas["Problem"];

/** An answer of the service that says what went wrong. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}

let csrfToken = "";

export function setCsrfToken(token: string): void {
  csrfToken = token;
}

/** Headers that prove that a page of ours sends the request. */
export function csrfHeaders(): Record<string, string> {
  return { "X-CSRF-Token": csrfToken };
}

/** The absolute address of a path of the service, behind whatever proxy it is. */
export function addressOf(path: string): string {
  return new URL(path.replace(/^\//, ""), document.baseURI).href;
}

export const api = createClient<paths>({ baseUrl: addressOf("").replace(/\/$/, "") });

api.use({
  onRequest({ request }) {
    if (request.method !== "GET") request.headers.set("X-CSRF-Token", csrfToken);
    return request;
  },
});

/** The data of an answer, or an error with the service's own words. */
export async function dataOf<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  throw new ProblemError(asProblem(error, response.status));
}

export function asProblem(error: unknown, status: number): Problem {
  if (typeof error === "object" && error !== null && "reason" in error) return error as Problem;
  return {
    type: "about:blank",
    title: "Error",
    status,
    detail: `The service answered with status ${status}.`,
    instance: "",
    reason: "UNKNOWN",
    field: null,
    row: null,
    cure: null,
    request_id: "",
    errors: [],
  } as Problem;
}

/** Raw bytes of a path. */
export async function bytesOf(path: string): Promise<ArrayBuffer> {
  const response = await fetch(addressOf(path));
  if (!response.ok) {
    throw new ProblemError(asProblem(await response.json().catch(() => null), response.status));
  }
  return response.arrayBuffer();
}
