"""Configurations survive being written, whatever is in them."""

import copy
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from napari_hush.config import Configuration, load_configuration, save_configuration
from napari_hush.errors import ConfigurationError

NUMBERS = st.sampled_from([-1, 0, 1, 2, 3, 8, 16, 64, 0.5, 1e-4, 1e30, 10**12])
VALUES = (
    NUMBERS
    | st.booleans()
    | st.none()
    | st.text(max_size=6)
    | st.sampled_from(["YX", "ZYX", "CYX", "n2v", "care", "mae", "cpu", "tiff", "zarr"])
    | st.lists(NUMBERS, max_size=4)
)


def leaves(tree, path=()):
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from leaves(value, (*path, name))
        else:
            yield (*path, name)


DEFAULTS = Configuration().model_dump(mode="json")
LEAVES = sorted(leaves(DEFAULTS))


def changed(changes):
    tree = copy.deepcopy(DEFAULTS)
    for path, value in changes.items():
        place = tree
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
    return tree


@settings(deadline=None, max_examples=150)
@given(st.dictionaries(st.sampled_from(LEAVES), VALUES, max_size=4))
def test_any_values_make_a_configuration_or_one_sentence(changes):
    with suppress(ConfigurationError):
        config = Configuration.build(changed(changes))
        again = Configuration.model_validate_json(config.model_dump_json())
        assert again == config
        assert Configuration.build(config.model_dump()) == config
        assert again.model_dump_json() == config.model_dump_json()


NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12
)


@settings(deadline=None, max_examples=40)
@given(
    name=NAMES,
    seed=st.integers(0, 2**32 - 1),
    rate=st.floats(1e-8, 1),
    decay=st.floats(0, 0.999),
    means=st.none() | st.floats(-1e9, 1e9),
    device=st.sampled_from(["auto", "cpu", "cuda:1"]),
)
def test_a_file_gives_back_each_bit(
    tmp_path_factory, name, seed, rate, decay, means, device
):
    config = Configuration()
    scaling = {} if means is None else {"image_means": (means,), "image_stds": (rate,)}
    algorithm = config.algorithm_config
    try:
        config = config.replace(
            experiment_name=name,
            data_config=config.data_config.replace(seed=seed, **scaling),
            training_config=config.training_config.replace(ema_decay=decay, device=device),
            algorithm_config=algorithm.replace(
                optimizer=algorithm.optimizer.replace(learning_rate=rate)
            ),
        )
    except ConfigurationError:  # not every text is a name
        return
    folder = tmp_path_factory.mktemp("config")
    assert load_configuration(save_configuration(config, folder)) == config
