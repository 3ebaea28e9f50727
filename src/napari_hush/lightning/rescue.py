"""The model in the state of a run that was cut off."""

from __future__ import annotations

from napari_hush.dataset import Normalization
from napari_hush.lightning.state import RunState, going_on
from napari_hush.models import Model, UNet


def model_of(state: RunState) -> Model:
    """What a run had learned when it was cut off: the averaged weights where there are any.

    Parameters
    ----------
    state : RunState
        As `load_state` reads it.

    Raises
    ------
    UnreadableFileError
        If the weights are not those of the network in the configuration.
    """
    position, data = state.position, state.data
    with going_on("the run that was cut off"):
        network = UNet(state.config.algorithm_config.model)
        network.load_state_dict(state.under("average") or state.under("network"))
        scaling = Normalization(data.means, data.stds)
        target = None
        if data.target_means is not None and data.target_stds is not None:
            target = Normalization(data.target_means, data.target_stds)
    return Model(
        state.config,
        network.eval(),
        scaling,
        target,
        epochs=position.first_epoch + position.epochs,
        steps=position.first_step + position.steps,
        provenance=state.provenance,
    )
