"""What can be asked of the service: each question is written once, for both clients."""
