"""Names the axes of the arrays that this library passes around.

Every alias is a plain tensor to the type checker. Under tests, beartype checks dtype and shape, and
that an axis name means one length within a call.

Axis names: ``sample`` (a batch or the pool), ``reference`` (the reference set or a batch of it),
``class`` (classes), ``hidden`` (penultimate units of the classifier), ``feature`` (columns of the
meta-network's scalar input), ``shape`` (what one input looks like: ``d`` or ``c h w``).
"""

from collections.abc import Mapping

from jaxtyping import Bool, Float, Int64, Shaped
from torch import Tensor

Inputs = Shaped[Tensor, "sample *shape"]
"""Images (uint8, ``[sample, channel, height, width]``) or embeddings (float, ``[sample, d]``)."""

Labels = Int64[Tensor, "sample"]
"""Class indices in ``[0, class_count)``."""

GroupFlags = Bool[Tensor, "sample"]
"""True where a sample is real, False where it is synthetic."""

Indices = Int64[Tensor, "sample"]
"""Positions of samples in the pool or in the reference set."""

PerSample = Float[Tensor, "sample"]
"""One number for each sample: a loss, a weight, an alignment."""

Logits = Float[Tensor, "sample class"]
"""The classifier's unnormalised log-probabilities."""

Hidden = Float[Tensor, "sample hidden"]
"""The classifier's penultimate activations."""

ReferenceHidden = Float[Tensor, "reference hidden"]
"""Penultimate activations of the reference batch: the anchors of the online features."""

ReferenceLabels = Int64[Tensor, "reference"]
"""Class indices of the reference batch."""

FeatureColumns = Float[Tensor, "sample feature"]
"""Scalar features, one column each."""

Scalar = Float[Tensor, ""]
"""A single number that may carry a gradient."""

ParameterTensors = Mapping[str, Tensor]
"""One tensor for each named parameter of a module: values, gradients or directions."""
