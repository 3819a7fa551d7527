import { Link } from "wouter";

import type { Dataset } from "../api/client";
import { DatasetState } from "./DatasetState";
import type { NamedFile } from "./droppedFiles";
import { DropPlace } from "./DropPlace";
import type { Role } from "./useUploads";

const TITLES: Record<Role, string> = {
  synthetic: "Synthetic set",
  reference: "Reference set",
  test: "Test set, optional",
};
const MEANINGS: Record<Role, string> = {
  synthetic: "The generated samples that are to be weighed.",
  reference: "A few real samples of each class that you trust.",
  test: "More real samples, to measure accuracy before and after.",
};

/** Where the files of one role are dropped or chosen, and the newest set of that role. */
export function DropZone(props: {
  role: Role;
  newest: Dataset | undefined;
  onFiles: (files: NamedFile[]) => void;
}) {
  const { role, newest } = props;
  return (
    <DropPlace
      title={TITLES[role]}
      meaning={MEANINGS[role]}
      subject={`the ${role} set`}
      onFiles={props.onFiles}
    >
      <div className="newest">
        {newest && (
          <>
            <Link href={`/datasets/${newest.id}`}>{newest.name}</Link> <DatasetState dataset={newest} />
          </>
        )}
      </div>
    </DropPlace>
  );
}
