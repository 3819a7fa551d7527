/** Uploads that survive a broken connection: a file is sent in parts, each with its hash. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

import { addressOf, api, asProblem, csrfHeaders, dataOf, type Dataset, ProblemError } from "./client";

const PART_BYTES = 8 * 1024 * 1024;
const TRIES = 6;
const FIRST_PAUSE_MILLISECONDS = 500;

/**
 * Send `content` as the content of a dataset and return the dataset.
 *
 * Parts that have arrived earlier are not sent again, and a part whose connection breaks is.
 */
export async function uploadContent(
  datasetId: string,
  content: Blob,
  fileName: string,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<Dataset> {
  const arrived = await arrivedParts(datasetId);
  const partCount = Math.max(1, Math.ceil(content.size / PART_BYTES));
  // The browser's own hashing needs the whole file in memory, and HTTPS.
  const whole = sha256.create();
  for (let index = 0; index < partCount; index += 1) {
    signal.throwIfAborted();
    const start = index * PART_BYTES;
    const part = content.slice(start, start + PART_BYTES);
    const bytes = new Uint8Array(await part.arrayBuffer());
    whole.update(bytes);
    const hash = bytesToHex(sha256(bytes));
    const tell = (sent: number) => onProgress((start + sent) / Math.max(1, content.size));
    if (arrived.get(index + 1) !== hash) {
      await withRetries(() => sendPart(datasetId, index + 1, part, hash, tell, signal), signal);
    }
    tell(bytes.length);
  }
  return dataOf(
    api.POST("/v1/datasets/{dataset_id}/complete", {
      params: { path: { dataset_id: datasetId } },
      body: { file_name: fileName, sha256: bytesToHex(whole.digest()), part_count: partCount },
    }),
  );
}

/** Hashes of the parts that the service has, by number. */
async function arrivedParts(datasetId: string): Promise<Map<number, string>> {
  const arrived = new Map<number, string>();
  let cursor: string | undefined;
  do {
    const page = await dataOf(
      api.GET("/v1/datasets/{dataset_id}/parts", {
        params: { path: { dataset_id: datasetId }, query: { limit: 1000, cursor } },
      }),
    );
    for (const part of page.items) arrived.set(part.number, part.sha256);
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  return arrived;
}

/** Try again after a broken connection or a fault of the service, with growing pauses. */
async function withRetries(send: () => Promise<void>, signal: AbortSignal): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await send();
    } catch (error) {
      const isFinal = error instanceof ProblemError && error.problem.status < 500;
      if (signal.aborted || isFinal || attempt === TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, FIRST_PAUSE_MILLISECONDS * 2 ** attempt));
    }
  }
}

function sendPart(
  datasetId: string,
  number: number,
  part: Blob,
  hash: string,
  onProgress: (sentBytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  // fetch tells nothing of how much has been sent; XMLHttpRequest does.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", addressOf(`v1/datasets/${datasetId}/parts/${number}?sha256=${hash}`));
    for (const [name, value] of Object.entries(csrfHeaders())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      if (request.status < 300) resolve();
      else reject(new ProblemError(asProblem(request.response, request.status)));
    };
    request.onerror = () => reject(new Error("The connection was lost; try again."));
    request.onabort = () => reject(new DOMException("stopped", "AbortError"));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(part);
  });
}
