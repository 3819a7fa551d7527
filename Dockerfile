# syntax=docker/dockerfile:1
# Two images out of one file:
#   api     the HTTP shell and the domain, without torch or any numerics of learning
#   worker  the training and the short workers, with torch
# Build one with: docker build --target api -t winnow-api .

ARG PYTHON_VERSION=3.11

# What both builders share: an empty virtual environment and what describes the package.
FROM python:${PYTHON_VERSION}-slim-bookworm AS builder
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/winnow
ENV PATH=/opt/winnow/bin:$PATH
WORKDIR /build

FROM builder AS api-builder
COPY requirements/api.txt requirements/
RUN pip install --no-deps --require-hashes -r requirements/api.txt
# The code comes after the packages, so that a change of it installs nothing again.
COPY pyproject.toml README.md LICENSE ./
COPY requirements/ requirements/
COPY curation/ curation/
COPY api/ api/
COPY migrations/ migrations/
# The command line is not part of this image, so the script that would start it goes.
RUN pip install --no-deps . && rm /opt/winnow/bin/winnow

FROM builder AS worker-builder
COPY requirements/worker.txt requirements/torch.txt requirements/
# torch is apart because its CPU and CUDA builds differ: the index decides which one comes.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
RUN pip install --no-deps --require-hashes -r requirements/worker.txt \
    && pip install --index-url "${TORCH_INDEX_URL}" -r requirements/torch.txt
COPY pyproject.toml README.md LICENSE ./
COPY requirements/ requirements/
COPY curation/ curation/
COPY mts_core/ mts_core/
COPY worker/ worker/
RUN pip install --no-deps . && rm /opt/winnow/bin/winnow

# What both images share: a user without rights, and a folder of its own for objects.
FROM python:${PYTHON_VERSION}-slim-bookworm AS runtime
RUN groupadd --gid 10001 winnow \
    && useradd --uid 10001 --gid winnow --home-dir /var/lib/winnow --create-home \
       --shell /usr/sbin/nologin winnow \
    && install --directory --owner=winnow --group=winnow --mode=0700 \
       /var/lib/winnow/objects /var/lib/winnow/scratch
ENV PATH=/opt/winnow/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /app
# By number, so that a host can check that it is not root.
USER 10001:10001

FROM runtime AS api
COPY --from=api-builder /opt/winnow /opt/winnow
COPY alembic.ini ./
COPY migrations/ migrations/
EXPOSE 8000
# An open event stream must not hold up a stop.
CMD ["python", "-m", "uvicorn", "--factory", "api.main:create_app", "--host", "0.0.0.0", \
     "--port", "8000", "--timeout-graceful-shutdown", "20", "--no-server-header"]

FROM runtime AS worker
COPY --from=worker-builder /opt/winnow /opt/winnow
CMD ["python", "-m", "worker.celery_app", "train"]
