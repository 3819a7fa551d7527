/** Uploads that survive a broken connection: a file is sent in parts, each with its hash. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

import { addressOf, api, asProblem, csrfHeaders, dataOf, type Dataset, ProblemError } from "./client";

const PART_BYTES = 8 * 1024 * 1024;
const TRIES = 6;
const FIRST_PAUSE_MILLISECONDS = 500;

/** What has arrived of a dataset's content is of another file than the one that is to follow. */
export class DifferentFileError extends Error {
  constructor() {
    super(
      "This is not the file of which a part has arrived. Drop that one, as it was then; or delete this dataset and upload the other file as a new one.",
    );
  }
}

interface ArrivedPart {
  sha256: string;
  sizeBytes: number;
}

/**
 * Send `content` as the content of a dataset and return the dataset.
 *
 * Parts that have arrived earlier are not sent again, and a part whose connection breaks is.
 * Throws a `DifferentFileError`, before anything is sent, where they are of another file.
 */
export async function uploadContent(
  datasetId: string,
  content: Blob,
  fileName: string,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<Dataset> {
  const arrived = await arrivedParts(datasetId);
  // The command line cuts longer parts, and an upload that it began goes on in those.
  const partBytes = arrived.get(1)?.sizeBytes ?? PART_BYTES;
  const partCount = Math.max(1, Math.ceil(content.size / partBytes));
  const partOf = (number: number) => content.slice((number - 1) * partBytes, number * partBytes);
  for (const number of partsBehindGap(arrived)) {
    const hash = number > partCount ? null : bytesToHex(sha256(await bytesOfPart(partOf(number))));
    if (arrived.get(number)?.sha256 !== hash) throw new DifferentFileError();
  }
  // The browser's own hashing needs the whole file in memory, and HTTPS.
  const whole = sha256.create();
  for (let number = 1; number <= partCount; number += 1) {
    signal.throwIfAborted();
    const part = partOf(number);
    const bytes = await bytesOfPart(part);
    whole.update(bytes);
    const hash = bytesToHex(sha256(bytes));
    const tell = (sent: number) =>
      onProgress(((number - 1) * partBytes + sent) / Math.max(1, content.size));
    const before = arrived.get(number);
    if (before && before.sha256 !== hash) throw new DifferentFileError();
    if (!before) {
      await withRetries(() => sendPart(datasetId, number, part, hash, tell, signal), signal);
    }
    tell(bytes.length);
  }
  return complete(datasetId, fileName, bytesToHex(whole.digest()), partCount);
}

async function complete(datasetId: string, fileName: string, hash: string, partCount: number): Promise<Dataset> {
  const path = { dataset_id: datasetId };
  try {
    return await dataOf(
      api.POST("/v1/datasets/{dataset_id}/complete", {
        params: { path },
        body: { file_name: fileName, sha256: hash, part_count: partCount },
      }),
    );
  } catch (error) {
    if (!(error instanceof ProblemError && error.problem.reason === "DATASET_HAS_CONTENT")) throw error;
    // It was completed by another window, or by a request whose answer was lost.
    const dataset = await dataOf(api.GET("/v1/datasets/{dataset_id}", { params: { path } }));
    if (dataset.content?.sha256 !== hash) throw error;
    return dataset;
  }
}

/** Parts behind the first gap: they are looked at before a part of another file fills the gap. */
function partsBehindGap(arrived: ReadonlyMap<number, ArrivedPart>): number[] {
  let next = 1;
  while (arrived.has(next)) next += 1;
  return [...arrived.keys()].filter((number) => number > next);
}

const bytesOfPart = async (part: Blob) => new Uint8Array(await part.arrayBuffer());

/** The parts that the service has, by number. */
export async function arrivedParts(datasetId: string): Promise<Map<number, ArrivedPart>> {
  const arrived = new Map<number, ArrivedPart>();
  let cursor: string | undefined;
  do {
    const page = await dataOf(
      api.GET("/v1/datasets/{dataset_id}/parts", {
        params: { path: { dataset_id: datasetId }, query: { limit: 1000, cursor } },
      }),
    );
    for (const part of page.items) {
      arrived.set(part.number, { sha256: part.sha256, sizeBytes: part.size_bytes });
    }
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
