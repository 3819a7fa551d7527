"""Runs jobs: a Celery shell that supervises, and a training process that it starts."""
