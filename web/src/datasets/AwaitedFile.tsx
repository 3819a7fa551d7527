import { Stack, Text } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import type { Dataset } from "../api/client";
import { arrivedBytesQuery } from "../api/queries";
import { bytes } from "../format/words";
import { DropPlace } from "./DropPlace";
import { UploadRow } from "./UploadRow";
import { useUploads } from "./useUploads";

/** The upload of a dataset that has no content yet, or the place where it goes on after a break. */
export function AwaitedFile({ dataset }: { dataset: Dataset }) {
  const { uploads, resume, stop, retry } = useUploads();
  const upload = uploads.find((item) => item.datasetId === dataset.id);
  const isOnItsWay = upload !== undefined && upload.stage !== "failed";
  return (
    <section className="card" aria-labelledby="awaited-heading">
      <div className="card-head">
        <h2 id="awaited-heading">{isOnItsWay ? "Its file is on its way" : "Its file has not arrived"}</h2>
      </div>
      <Stack gap="md">
        {upload && (
          <UploadRow upload={upload} onStop={() => stop(upload.id)} onRetry={() => retry(upload.id)} />
        )}
        {!isOnItsWay && <Rest dataset={dataset} onFiles={(files) => files.length > 0 && resume(files, dataset)} />}
      </Stack>
    </section>
  );
}

function Rest(props: { dataset: Dataset; onFiles: Parameters<typeof DropPlace>[0]["onFiles"] }) {
  const arrived = useQuery(arrivedBytesQuery(props.dataset.id));
  const hasPart = (arrived.data ?? 0) > 0;
  return (
    <>
      <Text size="sm">
        {hasPart ? (
          <>
            <b>{bytes(arrived.data ?? 0)}</b> of it are here already and are not sent again.
          </>
        ) : (
          "Nothing of it is here yet."
        )}{" "}
        If another window or the command line is still sending it, leave it to them.
      </Text>
      <DropPlace
        title={hasPart ? "Go on with the upload" : "Upload its file"}
        meaning={
          hasPart
            ? "The same file as before; or the same folder, with nothing changed in it."
            : "It is checked as soon as it is here."
        }
        subject="this dataset"
        onFiles={props.onFiles}
      />
    </>
  );
}
