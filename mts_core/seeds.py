"""Derives independent generators from one seed, so that no draw depends on another's place."""

import hashlib

import torch


def derive_seed(seed: int, *path: str | int) -> int:
    """Return a seed for a named purpose, in [0, 2^63).

    Args:
        seed: Seed of the whole run.
        path: Name of the purpose, from the coarse to the fine.
    """
    text = "/".join(str(part) for part in (seed, *path))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def derive_generator(seed: int, *path: str | int) -> torch.Generator:
    """Return a CPU generator for a named purpose.

    Args:
        seed: Seed of the whole run.
        path: Name of the purpose, from the coarse to the fine.
    """
    return torch.Generator().manual_seed(derive_seed(seed, *path))
