import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { Route, Switch } from "wouter";

import { currentSession } from "../api/session";
import { DatasetPage } from "../datasets/DatasetPage";
import { DatasetsPage } from "../datasets/DatasetsPage";
import { UploadsProvider } from "../datasets/useUploads";
import { ErrorNotice } from "../feedback/ErrorNotice";
import { Waiting } from "../feedback/Waiting";
import { JobPage } from "../jobs/JobPage";
import { JobsPage } from "../jobs/JobsPage";
import { NewJobPage } from "../jobs/NewJobPage";
import { NotFoundPage } from "./NotFoundPage";
import { SignInPage } from "./SignInPage";
import { TopBar } from "./TopBar";

const ComparePage = lazy(() =>
  import("../compare/ComparePage").then((module) => ({ default: module.ComparePage })),
);

/** The whole dashboard: sign-in first, then the view that the address names. */
export function App() {
  const session = useQuery({ queryKey: ["session"], queryFn: currentSession, staleTime: Infinity });
  if (session.isPending) return <Frame><Waiting lines={5} /></Frame>;
  if (session.error) {
    return (
      <Frame>
        <ErrorNotice error={session.error} onRetry={() => void session.refetch()} />
      </Frame>
    );
  }
  if (!session.data) return <SignInPage />;
  return (
    <UploadsProvider>
      <a className="skip" href="#content">
        Skip to content
      </a>
      <TopBar />
      <Frame>
        <Suspense fallback={<Waiting lines={5} />}>
          <Switch>
            <Route path="/" component={JobsPage} />
            <Route path="/jobs" component={JobsPage} />
            <Route path="/jobs/new" component={NewJobPage} />
            <Route path="/jobs/:id">{(params) => <JobPage key={params.id} id={params.id} />}</Route>
            <Route path="/datasets" component={DatasetsPage} />
            <Route path="/datasets/:id">
              {(params) => <DatasetPage key={params.id} id={params.id} />}
            </Route>
            <Route path="/compare" component={ComparePage} />
            <Route component={NotFoundPage} />
          </Switch>
        </Suspense>
      </Frame>
    </UploadsProvider>
  );
}

function Frame({ children }: { children: React.ReactNode }) {
  return (
    <main id="content" className="page" tabIndex={-1}>
      {children}
    </main>
  );
}
