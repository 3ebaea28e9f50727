"""Noisy and clean files are paired by their names."""

from pathlib import Path

import pytest

from napari_hush.errors import ConfigurationError, SourceTypeError
from napari_hush.io import pair_files, refuse_same_files


def paths(*names):
    return [Path(name) for name in names]


def test_pairs_go_by_name():
    pairs = pair_files(paths("low/b.tif", "low/a.tif"), paths("high/a.tif", "high/b.tif"))
    assert pairs == [
        (Path("low/b.tif"), Path("high/b.tif")),
        (Path("low/a.tif"), Path("high/a.tif")),
    ]
    assert pair_files([], []) == []


def test_names_that_repeat_go_by_their_folders():
    low, high = paths("low/1/a.tif", "low/2/a.tif"), paths("high/2/a.tif", "high/1/a.tif")
    assert pair_files(low, high) == [(low[0], high[1]), (low[1], high[0])]


@pytest.mark.parametrize(
    ("sources", "targets", "says"),
    [
        (
            ["a.tif", "b.tif"],
            ["a.tif"],
            r"2 source.*1 target.*the targets lack a partner of 'b\.tif'",
        ),
        (["a.tif"], ["a.tif", "c.tif"], r"the sources lack a partner of 'c\.tif'"),
        (["a.tif"], ["b.tif"], r"targets lack .* 'a\.tif', the sources lack .* 'b\.tif'"),
        (
            [f"{n}.tif" for n in range(5)],
            [],
            r"lack a partner of '0\.tif', '1\.tif', '2\.tif' and 2 more",
        ),
        (["a.tif", "a.tif"], ["x/a.tif"], r"'a\.tif' was given 2 times"),
    ],
)
def test_files_without_a_partner_are_named(sources, targets, says):
    with pytest.raises(SourceTypeError, match=says):
        pair_files(paths(*sources), paths(*targets))


@pytest.mark.parametrize(
    ("sources", "targets"),
    [
        (["cells1_low.tif", "cells2_low.tif"], ["cells1_high.tif", "cells2_high.tif"]),
        (["noisy_01.tif", "noisy_02.tif"], ["clean_01.tif", "clean_02.tif"]),
        (["t9_low.tif", "t10_low.tif"], ["t9_high.tif", "t10_high.tif"]),
        (["x-low.tif", "y-low.tif"], ["x-GT.tif", "y-GT.tif"]),
        (["low/a.tif", "low/b.tif"], ["high/a.tiff", "high/b.TIF"]),
        (["a.ome.tif", "b.ome.tif"], ["a.tif", "b.tif"]),
        (["a_n.czi", "ab_n.czi"], ["a_gt.tif", "ab_gt.tif"]),
        (["1/raw_a.tif", "2/raw_a.tif"], ["3/1/gt_a.tif", "3/2/gt_a.tif"]),
        (["exp_low_7.tif", "exp_low_12.tif"], ["exp_high_7.tif", "exp_high_12.tif"]),
        (["a1.tif", "b1.tif"], ["a2.tif", "b2.tif"]),
        (["cells.tif", "cells_2.tif"], ["cells_gt.tif", "cells_2_gt.tif"]),
        (["cells_low.tif"], ["cells_high.tif"]),
        (["\u00e9.tif", "b.tif"], ["e\u0301.tif", "b.tif"]),  # as macOS writes it
    ],
)
def test_names_may_differ_in_a_common_word(sources, targets):
    expected = list(zip(paths(*sources), paths(*targets), strict=True))
    assert pair_files(paths(*sources), paths(*reversed(targets))) == expected


@pytest.mark.parametrize(
    ("sources", "targets", "missing"),
    [
        (["t1.tif", "t2.tif"], ["t2.tif", "t3.tif"], "'t1.tif'"),
        (["t1.tif", "t2.tif"], ["t11.tif", "t12.tif"], "'t1.tif', 't2.tif'"),
        (["a_low.tif", "b_low.tif", "c_low.tif"], ["a_gt.tif", "b_gt.tif"], "'c_low.tif'"),
        (["img_1.tif"], ["img_2.tif"], "'img_1.tif'"),
        (["a.tif", "a.lsm"], ["a.tif", "a.czi"], "'a.lsm'"),
        (["alpha_n.tif", "beta_n.tif"], ["gamma_c.tif", "delta_c.tif"], "alpha"),
    ],
)
def test_uncertain_pairs_are_refused(sources, targets, missing):
    with pytest.raises(SourceTypeError) as caught:
        pair_files(paths(*sources), paths(*targets))
    assert missing in str(caught.value)


def test_a_file_is_not_its_own_target(tmp_path):
    file, link = tmp_path / "a.tif", tmp_path / "b.tif"
    file.write_text("x")
    link.symlink_to(file)
    with pytest.raises(ConfigurationError, match=r"a\.tif' is both"):
        refuse_same_files([(file, link)])
    refuse_same_files([(tmp_path / "a.tif#0", tmp_path / "a.tif#1")])
