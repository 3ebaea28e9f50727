"""Everything that names a method agrees with the table of methods."""

import re
from inspect import signature
from pathlib import Path
from typing import get_args

import pytest

from napari_hush import config as configurations
from napari_hush.config import Configuration, create_n2v_configuration
from napari_hush.config.algorithm import AlgorithmConfig
from napari_hush.config.methods import (
    METHODS,
    STRUCT_AXES,
    method_of,
    papers_of,
    with_method,
)
from napari_hush.quality import advice

DOC = Path(__file__).parents[2] / "docs" / "methods.md"
GIVEN = ("cells", "array", "YX", (64, 64), 4)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_each_method_can_be_applied_and_recognised(method):
    tree = with_method(Configuration().model_dump(), method)
    config = Configuration.build(tree)
    assert method_of(config) is method_of(tree) is method
    assert config.algorithm_config.needs_targets == method.needs_targets
    assert papers_of(config)[0] is method.paper


@pytest.mark.parametrize("key", ["n2n", "care"])
def test_factories_have_the_loss_of_the_table(key):
    create = getattr(configurations, f"create_{key}_configuration")
    assert signature(create).parameters["loss"].default == METHODS[key].loss
    assert method_of(create(*GIVEN)) is METHODS[key]


def test_the_algorithms_are_those_of_the_table():
    algorithms = get_args(AlgorithmConfig.model_fields["algorithm"].annotation)
    assert set(algorithms) == {method.algorithm for method in METHODS.values()}


def test_the_data_check_suggests_methods_of_the_table():
    assert set(get_args(advice.Method)) - {"none"} < METHODS.keys()


def test_the_page_names_every_method():
    tables = re.findall(r"^\|.*\|$", DOC.read_text(encoding="utf-8"), re.MULTILINE)
    cells = {cell.strip() for row in tables for cell in row.split("|")}
    for method in METHODS.values():
        assert any(cell.split(",")[0] == method.name for cell in cells), method.name


def both():
    return create_n2v_configuration(
        *GIVEN, use_n2v2=True, struct_n2v_axis="vertical", struct_n2v_span=7
    )


def test_n2v2_with_a_struct_mask_is_structn2v():
    assert method_of(both()).key == "structn2v"
    keys = [METHODS[key].paper for key in ("structn2v", "n2v", "n2v2")]
    assert papers_of(both())[:-1] == keys


def test_it_has_one_name_in_info_dock_and_packages():
    pytest.importorskip("qtpy")
    from napari_hush.cli.info import described
    from napari_hush.interop import About
    from napari_hush.interop.bioimageio_rdf import description_of, name_of
    from napari_hush.models import Model, UNet
    from napari_hush.models.normalization import Normalization
    from napari_hush.widgets.model.model_panel import card_of

    config = both()
    model = Model(
        config, UNet(config.algorithm_config.model), Normalization((0.0,), (1.0,))
    )
    values = described(model)
    assert values["method"] == "structn2v"
    assert values["network"].endswith("32 filters, N2V2")
    assert name_of(model, About()) == "cells - structN2V 2D"
    assert description_of(model, About()).endswith(
        "structN2V and the architecture of N2V2."
    )
    assert card_of(model)[0].startswith("structN2V for images")


def test_another_axis_keeps_the_architecture_of_n2v2():
    config = both()
    tree = with_method(config.model_dump(), METHODS["structn2v"], "horizontal", 5)
    changed = Configuration.build(tree).algorithm_config
    assert changed.model.n2v2
    assert changed.n2v_config.strategy == "median"
    assert changed.n2v_config.struct_mask_axis == "horizontal"


@pytest.mark.parametrize("axis", STRUCT_AXES)
def test_structn2v_as_the_factory_configures_it(axis):
    axes, size = ("ZYX", (16, 64, 64)) if axis == "z" else ("YX", (64, 64))
    made = create_n2v_configuration(
        "denoiser", "array", axes, size, 16, struct_n2v_axis=axis, struct_n2v_span=9
    )
    plain = create_n2v_configuration("denoiser", "array", axes, size, 16).model_dump()
    assert Configuration.build(with_method(plain, METHODS["structn2v"], axis, 9)) == made
