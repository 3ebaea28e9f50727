"""Names of the previous release work for one more, with a warning."""

import pytest

from napari_hush.deprecation import former_keywords


@former_keywords(judge="check")
def predict(source, *, check=True):
    """Denoise."""
    return source, check


def test_an_old_keyword_is_passed_by_its_new_name():
    with pytest.warns(DeprecationWarning, match=r"judge of predict\(\) is now check"):
        assert predict(1, judge=False) == (1, False)
    assert predict(1, check=False) == (1, False)
    assert predict.__doc__ == "Denoise."


def test_both_names_at_once_are_refused():
    with pytest.raises(TypeError, match="both check and judge"):
        predict(1, judge=False, check=False)
