"""Helpers for training by weights in PyTorch: a sampler, a loss, and the weights themselves.

``torch`` is needed only by who imports this module; ``pyarrow`` only by ``load_weights``.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.utils.data import Sampler

from winnow.errors import InputError
from winnow.finished_job import FinishedJob
from winnow.tables import ResultTable

WeightSource = str | Path | ResultTable | FinishedJob
"""A ``.parquet`` file of a manifest or of weights, such a table, or a finished job."""

_DRAWS_AT_ONCE: Final = 1 << 20
_SEED_BYTES = 7


def load_weights(source: WeightSource, *, sample_ids: Sequence[str] | None = None) -> Tensor:
    """Returns the weight of every sample: [sample], float32, not negative, mean 1 over the pool.

    Beside them a reference sample counts as often as the job's report says:

        both = ConcatDataset([pool, reference])
        counts = torch.full((len(reference),), job.report()["reference_weight"])
        sampler = WeightedSampler(torch.cat([load_weights(job), counts]))

    Args:
        source: manifest.parquet, kept.parquet, a table of either, or a finished job.
        sample_ids: The samples in the order in which the training set has them; without them the
            weights are in the source's own order, which is that of the upload.

    Raises:
        InputError: the source has no weights, or one of ``sample_ids`` is not in it.
    """
    table = _table_of(source)
    missing = {"sample_id", "weight"} - set(table.column_names)
    if missing:
        raise InputError(f"{source} has no column {', '.join(sorted(missing))}.")
    weights = torch.from_numpy(table["weight"].to_numpy().copy()).float()
    if sample_ids is None:
        return weights
    position_of = {name: position for position, name in enumerate(table["sample_id"].to_pylist())}
    try:
        return weights[[position_of[name] for name in sample_ids]]
    except KeyError as error:
        raise InputError(f"{source} has no sample {error.args[0]!r}.") from error


@final
class WeightedSampler(Sampler[int]):
    """Draws positions in proportion to their weights, for a ``DataLoader``.

    It is right for any number of samples: ``torch.utils.data.WeightedRandomSampler`` ends at
    2^24, since ``torch.multinomial`` counts in float32. Each pass draws anew, the same for the
    same seed and epoch; ``set_epoch`` names the next pass, as a resumed training needs it.

    Where training is distributed, all processes draw the same sequence and each takes its own
    share of it; what does not divide evenly is left out.
    """

    def __init__(  # noqa: PLR0913 - What is drawn, how much of it, and for whom.
        self,
        weights: Tensor | Sequence[float],
        *,
        num_samples: int | None = None,
        replacement: bool = True,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """Checks the weights; nothing is drawn yet.

        Args:
            weights: [sample], not negative. Weight zero equals removal.
            num_samples: Draws of a pass over all processes; None draws as many as there are
                samples, or, without replacement, as many as have a weight.
            replacement: Whether a sample may be drawn more than once in a pass.
            seed: The same seed and epoch give the same draws.
            rank: This process's number; None asks torch.distributed where that is in use.
            world_size: How many processes share a pass; None asks likewise.

        Raises:
            ValueError: weights are negative, not finite or all zero; or more is to be drawn than
                there is; or ``rank`` is none of ``world_size``.
        """
        self._weights = torch.as_tensor(weights, dtype=torch.float64, device="cpu").flatten()
        _check(self._weights)
        self._has_replacement = replacement
        positive_count = int(torch.count_nonzero(self._weights))
        most = len(self._weights) if replacement else positive_count
        self._draw_count = most if num_samples is None else num_samples
        if not replacement and self._draw_count > most:
            raise ValueError(f"only {most} samples have a weight, and none is drawn twice")
        self._rank, self._world_size = _place(rank, world_size)
        self._length = self._draw_count // self._world_size
        if self._length < 1:
            raise ValueError(f"{self._draw_count} draws give each process none")
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        """Returns the draws of a pass in this process."""
        return self._length

    def set_epoch(self, epoch: int) -> None:
        """Makes the next pass that of the epoch, counted from 0."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Yields the positions of a pass; the next one draws others.

        Cost: O(num_samples log sample), without replacement O(sample log sample).
        """
        generator = _generator(self._seed, self._epoch)
        self._epoch += 1
        if self._has_replacement:
            return self._with_replacement(generator)
        return self._without_replacement(generator)

    def _with_replacement(self, generator: torch.Generator) -> Iterator[int]:
        cumulative = self._weights.cumsum(0)
        # Rounding can reach the very end, where trailing zero weights must not be drawn.
        last = int(torch.nonzero(self._weights)[-1])
        total_count = self._length * self._world_size
        for first in range(0, total_count, _DRAWS_AT_ONCE):
            count = min(_DRAWS_AT_ONCE, total_count - first)
            uniform = torch.rand(count, generator=generator, dtype=torch.float64)
            drawn = torch.searchsorted(cumulative, uniform * cumulative[-1], right=True)
            own = drawn.clamp_max(last)[(self._rank - first) % self._world_size :: self._world_size]
            yield from own.tolist()

    def _without_replacement(self, generator: torch.Generator) -> Iterator[int]:
        """Yields positions in the order in which exponential clocks of these rates ring first.

        Source: Efraimidis and Spirakis (2006), Weighted random sampling with a reservoir.
        """
        clocks = torch.empty_like(self._weights).exponential_(generator=generator)
        # A clock of rate zero never rings; 0/0 is no number, and would be sorted last as well.
        rings_at = torch.where(self._weights > 0, clocks / self._weights, torch.inf)
        drawn = torch.argsort(rings_at, stable=True)[: self._length * self._world_size]
        yield from drawn[self._rank :: self._world_size].tolist()


def weighted_loss(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Returns a loss that takes the samples' weights last: ``loss(logits, y, w)``.

    It is the mean of weight times loss. Weights have the mean 1 over the pool, so a batch drawn
    uniformly gives an unbiased estimate of the weighted loss of the whole pool, which division by
    the batch's own sum of weights would not. Do not use it together with ``WeightedSampler``,
    which would count the weights twice.

    Args:
        loss: Such as ``torch.nn.functional.cross_entropy``, which takes ``reduction="none"``, or
            a module that was made with it.
    """
    is_module = isinstance(loss, torch.nn.Module)
    if is_module and getattr(loss, "reduction", "none") != "none":
        raise ValueError("a loss module has to be made with reduction='none'")
    reduction: dict[str, Any] = {} if is_module else {"reduction": "none"}

    def of_batch(*arguments: Tensor, **options: Any) -> Tensor:  # As the loss takes them.
        *inputs, weights = arguments
        each = loss(*inputs, **options, **reduction)
        if each.shape[:1] != weights.shape:
            raise ValueError(
                f"weights of shape {tuple(weights.shape)} do not fit losses of shape "
                f"{tuple(each.shape)}: one weight is needed for each sample"
            )
        # A sample of many positions, as an image of pixels, counts by the mean of its losses.
        per_sample = each.reshape(len(each), -1).mean(1)
        return (weights.to(per_sample) * per_sample).mean()

    return of_batch


def _table_of(source: WeightSource) -> Any:  # pyarrow ships no types.
    match source:
        case FinishedJob():
            return source.weights().to_arrow()
        case ResultTable():
            return source.to_arrow()
        case _:
            try:
                return ResultTable(Path(source).read_bytes()).to_arrow()
            except (OSError, ValueError) as error:
                raise InputError(f"{source} cannot be read: {error}.") from error


def _check(weights: Tensor) -> None:
    if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()):
        raise ValueError("weights have to be finite and not negative")
    if not bool((weights > 0).any()):
        raise ValueError("no sample has a weight")


def _place(rank: int | None, world_size: int | None) -> tuple[int, int]:
    if rank is None and world_size is None:
        distributed = torch.distributed
        if distributed.is_available() and distributed.is_initialized():
            return distributed.get_rank(), distributed.get_world_size()
        return 0, 1
    if rank is None or world_size is None or not 0 <= rank < world_size:
        raise ValueError(f"rank {rank} is none of {world_size} processes")
    return rank, world_size


def _generator(seed: int, epoch: int) -> torch.Generator:
    """Returns a generator of its own for each seed and epoch; their sum would be shared by many."""
    digest = hashlib.blake2b(f"{seed}/{epoch}".encode(), digest_size=_SEED_BYTES).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest))
