import "@mantine/core/styles.css";
import "uplot/dist/uPlot.min.css";
import "./style.css";

import { MantineProvider } from "@mantine/core";
import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Router } from "wouter";

import { ProblemError } from "./api/client";
import { App } from "./shell/App";
import { resolver, theme } from "./theme";

// A nonce is hidden from selectors, but not from the attribute's own reader.
const nonce = document.querySelector<HTMLMetaElement>('meta[name="winnow-nonce"]')?.content ?? "";

const queries: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    onError: (error) => {
      // A session that has ended leads back to the sign-in, wherever one was.
      if (error instanceof ProblemError && error.problem.status === 401) {
        queries.setQueryData(["session"], null);
      }
    },
  }),
  defaultOptions: {
    queries: {
      refetchOnWindowFocus: false,
      // What the service has refused it would refuse again.
      retry: (count, error) => count < 2 && !(error instanceof ProblemError && error.problem.status < 500),
    },
  },
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={resolver}
        defaultColorScheme="auto"
        getStyleNonce={() => nonce}
      >
        <QueryClientProvider client={queries}>
          <Router base={new URL(document.baseURI).pathname.replace(/\/$/, "")}>
            <App />
          </Router>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
