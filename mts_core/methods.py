"""Lists the methods of learning scores, and reads their settings."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mts_core.errors import ConfigError
from mts_core.pipeline_config import MethodName, PipelineConfig
from mts_core.setting import value_from_json
from mts_core.settings_resolution import resolve_settings
from mts_core.tess import start_tess
from mts_core.tess_settings import TessSettings, resolve_tess
from mts_core.trainer_run import start_meta_weight_net, start_mts
from mts_core.trainer_settings import MetaWeightNetSettings, MtsSettings
from mts_core.weighting import WeightingMethod
from mts_core.winnow_run import start_winnow
from mts_core.winnow_settings import WinnowSettings

METHODS: Final[Mapping[MethodName, WeightingMethod]] = MappingProxyType(
    {
        MethodName.WINNOW: WeightingMethod(
            WinnowSettings,
            resolve_settings,
            start_winnow,
            reads_all_views=True,
            has_final_scores=True,
            parts=(MethodName.MTS,),
        ),
        MethodName.MTS: WeightingMethod(MtsSettings, resolve_settings, start_mts),
        MethodName.META_WEIGHT_NET: WeightingMethod(
            MetaWeightNetSettings, resolve_settings, start_meta_weight_net
        ),
        MethodName.TESS: WeightingMethod(TessSettings, resolve_tess, start_tess),
    }
)
"""Every method, by its name."""


def pipeline_config_from_mapping(method: str, values: Mapping[str, object]) -> PipelineConfig:
    """Return the settings that a JSON object names, with defaults for the rest.

    Args:
        method: Name of the method.
        values: Field names to JSON values; choices are given by their names.

    Raises:
        ConfigError: The method or a key is unknown, or a value lies outside its range.
    """
    if method not in list(MethodName):
        known = ", ".join(MethodName)
        raise ConfigError(f"method must be one of {known}, not {method!r}.", field="method")
    kind = METHODS[MethodName(method)].settings
    fields = {item.name: item for item in dataclasses.fields(kind)}
    for key in values:
        if key not in fields:
            raise ConfigError(f"There is no setting named {key!r}.", field=key)
    return kind(**{key: value_from_json(fields[key], value) for key, value in values.items()})
