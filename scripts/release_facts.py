"""Checks that version, changelog and citation agree before scripts/release builds."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
# The grammar of semver.org, without build metadata, which PyPI does not take.
SEMANTIC = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-?(?:a|b|rc|alpha|beta)\.?\d+)?"


def problems(version: str, root: Path) -> list[str]:
    """Reasons not to release, one sentence each."""
    found = []
    if not re.fullmatch(SEMANTIC, version):
        found.append(f"The version {version} is not one of semver.org, such as 1.2.3.")
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\] - (\S+)$", changelog, re.MULTILINE)
    if not headings or headings[0][0] != version:
        found.append(f"The first heading of CHANGELOG.md is not [{version}] - DATE.")
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    if f"\nversion: {version}\n" not in citation:
        found.append(f"CITATION.cff does not say version: {version}.")
    return found


if __name__ == "__main__":
    found = problems(sys.argv[1], ROOT)
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    sys.exit(bool(found))
