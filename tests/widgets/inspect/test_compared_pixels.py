import dask.array as da
import numpy as np
import pytest

from napari_hush.widgets.inspect.compared_pixels import Residual, Swiped, residual_in_noise

SHAPE = (3, 8, 10)


@pytest.fixture
def before():
    return np.arange(np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)


@pytest.fixture
def after(before):
    return (before * 0.5).astype(np.float32)


def _whole(before, after, axis, split):
    places = np.arange(before.shape[axis]).reshape(
        [-1 if a == axis else 1 for a in range(3)]
    )
    return np.where(places < split, before, after).astype(np.float32)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("split", [0, 2, 100])
@pytest.mark.parametrize(
    "key",
    [
        (slice(None),) * 3,
        (1, slice(None), slice(None)),
        (slice(None), 5, slice(None)),
        (slice(None), slice(None), -1),
        (2, slice(2, 6), slice(1, None, 3)),
        (slice(None, None, -1), slice(None), slice(None, None, -2)),
        (1, 2, 3),
        (Ellipsis, 4),
        1,
    ],
)
def test_a_slice_of_the_swiped_picture_is_that_slice_of_the_whole(
    before, after, axis, split, key
):
    whole = _whole(before, after, axis, split)
    swiped = Swiped(before, after, axis, split)
    assert np.array_equal(swiped[key], whole[key])
    assert np.array_equal(np.asarray(swiped), whole)


def test_pixels_of_one_type_stay_of_that_type(before):
    assert Swiped(before, before + 1, 1, 3).dtype == np.uint16
    assert Swiped(before, before + 1, 1, 3)[0].dtype == np.uint16


def test_what_is_shown_can_be_written_to_without_touching_the_sources(before, after):
    kept = before.copy(), after.copy()
    for split in (0, 5, 10):
        Swiped(before, after.astype(np.uint16), 2, split)[1][:] = 7
    assert np.array_equal(before, kept[0])
    assert np.array_equal(after, kept[1])


def test_a_result_is_shown_in_other_gray_values(before, after):
    swiped = Swiped(before, after, 2, 4)
    swiped.tone = (2.0, 100.0)
    assert np.array_equal(swiped[1][:, :4], before[1][:, :4])
    assert np.array_equal(swiped[1][:, 4:], 2 * after[1][:, 4:] + 100)
    alike = Swiped(before, before, 2, 4)
    alike.tone = (1000.0, -100.0)  # beyond the type
    assert alike[0, 0, 4:].tolist() == [3900, 4900, 5900, 6900, 7900, 8900]
    assert alike[2].max() == np.iinfo(np.uint16).max


@pytest.fixture
def photons():
    """Dark left and bright right, (300, 400); with photon noise, and without."""
    clean = np.repeat([30.0, 3000.0], 200) + np.sin(np.mgrid[:300, :400][0] / 20)
    return np.random.default_rng(0).poisson(clean).astype(np.uint16), clean


def test_only_noise_removed_is_even_grain_of_one_standard_deviation(photons):
    residual = Residual(*photons)
    assert residual.dtype == residual[:].dtype == np.float32
    for side in (slice(0, 200), slice(200, 400)):  # raw: 5 and 55 gray values
        assert np.std(residual[:][:, side]) == pytest.approx(1, abs=0.1)
        assert np.mean(residual[:][:, side]) == pytest.approx(0, abs=0.03)


def test_what_was_lost_stands_out_in_units_of_the_noise(photons):
    noisy, clean = photons
    lost = clean.copy()
    lost[100:110, 100:110] -= 4 * np.sqrt(30)
    residual = Residual(noisy, lost)[:][100:110, 100:110]
    assert np.mean(residual) == pytest.approx(4, abs=0.5)


@pytest.mark.parametrize(("gain", "offset"), [(5, 1752), (1e-3, 0), (-1, 70000)])
def test_gain_and_offset_of_the_result_are_fitted_if_wanted(photons, gain, offset):
    noisy, clean = photons
    other = (gain * clean + offset).astype(np.float32)
    fitted = Residual(noisy, other, fit_gain=True)[:]
    np.testing.assert_allclose(fitted, Residual(noisy, clean)[:], atol=0.2)
    assert np.std(Residual(noisy, other)[:]) > 3


def test_slices_of_any_shape_have_a_residual(photons):
    noisy, clean = (np.stack([one[:60, 170:230]] * 3) for one in photons)
    residual = Residual(noisy, clean.astype(np.float32))
    assert residual[1].shape == (60, 60)
    assert residual[:, :, 30].shape == (3, 60)
    assert np.asarray(residual).shape == (3, 60, 60)
    assert np.isfinite(residual[0, :9, :9]).all()
    assert np.ndim(residual[0, 1, 2]) == 0
    assert not residual_in_noise(np.ones((20, 20)), np.ones((20, 20)), fit_gain=True).any()


def test_the_residual_of_colours_is_that_of_their_mean(photons):
    noisy, clean = (np.stack([one] * 3, axis=-1) for one in photons)
    residual = Residual(noisy, clean, rgb=True)
    assert residual.shape == (300, 400)
    np.testing.assert_allclose(residual[:], Residual(*photons)[:], atol=1e-4)


def test_only_the_slice_that_is_asked_for_is_read_and_once(before, after):
    read = []

    def block(block_info=None):
        read.append(block_info[None]["array-location"][0])
        (start, stop), *_ = block_info[None]["array-location"]
        return before[start:stop]

    lazy = da.map_blocks(block, chunks=((1, 1, 1), 8, 10), dtype=before.dtype)
    read.clear()
    residual = Residual(lazy, after)
    for _ in range(3):
        assert residual[1].shape == (8, 10)
    assert read == [(1, 2)]
    residual.forget()
    residual[1]
    assert read == [(1, 2), (1, 2)]


def test_pictures_of_two_shapes_are_refused(before, after):
    with pytest.raises(ValueError, match="differ"):
        Swiped(before, after[:2], 0, 1)
