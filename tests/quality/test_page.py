"""docs/judgement.md: what it shows runs and prints what it says."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "judgement.md"


def test_what_the_page_shows_runs(capsys):
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.M)
    exec(compile(block, str(PAGE), "exec"), {})  # noqa: S102
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "n2v none 1"
    assert "looks like noise" in told[2]
