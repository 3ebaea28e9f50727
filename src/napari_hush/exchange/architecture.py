"""The network's own source, so that its weights can be used without this package."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from napari_hush.models import unet

if TYPE_CHECKING:
    from napari_hush.config import UNetConfig

CALLABLE = "make_network"
"""Function in the source that builds the network."""

_MAKE = f'''

def {CALLABLE}(**settings):
    """Build the network; `settings` are those of the file that describes the model."""
    from types import SimpleNamespace

    return UNet(SimpleNamespace(**settings)).eval()
'''


def architecture_source() -> str:
    """Python source of the network, which needs torch alone, with `CALLABLE`."""
    return inspect.getsource(unet) + _MAKE


def architecture_settings(config: UNetConfig) -> dict[str, Any]:
    """Arguments of `CALLABLE` for a network of `config`, fit for YAML."""
    settings = config.model_dump(mode="json", exclude={"architecture", "pool_z"})
    pooling = [list(levels) for levels in config.pooling]
    return {**settings, "pooling": pooling, "multiple": list(config.multiple)}
