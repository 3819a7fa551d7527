"""Runs the product's training worker with a scripted child in place of training.

Called with the path of the script that plays the child, and its acts.
"""

import sys

from worker.celery_app import WorkerKind, run_worker
from worker.settings import WorkerSettings

if __name__ == "__main__":
    sys.exit(
        run_worker(
            WorkerKind.TRAIN,
            WorkerSettings(),
            child_command=(sys.executable, *sys.argv[1:]),
        )
    )
