/** Signing in and out; the key is sent once and kept nowhere in the page. */
import { addressOf, asProblem, csrfHeaders, ProblemError, setCsrfToken } from "./client";

export interface Session {
  scopes: string[];
  csrf_token: string;
}

async function send(method: string, body?: object): Promise<Response> {
  const response = await fetch(addressOf("api/session"), {
    method,
    headers: { ...csrfHeaders(), ...(body ? { "Content-Type": "application/json" } : {}) },
    body: body ? JSON.stringify(body) : undefined,
  });
  if (!response.ok) {
    throw new ProblemError(asProblem(await response.json().catch(() => null), response.status));
  }
  return response;
}

async function adopt(response: Response): Promise<Session> {
  const session = (await response.json()) as Session;
  setCsrfToken(session.csrf_token);
  return session;
}

/** The session that the browser is in, or null. */
export async function currentSession(): Promise<Session | null> {
  try {
    return await adopt(await send("GET"));
  } catch (error) {
    if (error instanceof ProblemError && error.problem.status === 401) return null;
    throw error;
  }
}

export async function signIn(key: string): Promise<Session> {
  return adopt(await send("POST", { key }));
}

export async function signOut(): Promise<void> {
  await send("DELETE");
}
