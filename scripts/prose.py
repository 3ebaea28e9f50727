"""Names words that Markdown, comments and strings avoid: python scripts/prose.py FILE..."""

import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

BETTER = {
    r"law of the arrow": "import layers",
    r"judgement": "quality, check",
    r"courtesy": "thread priority",
    r"halvings?|halves": "U-Net depth; downsamples",
    r"longest gradient": "gradient clipping",
    r"half a cosine": "cosine annealing",
    r"first filters": "initial filters",
    r"averaged weights": "EMA weights",
    r"by heart": "overfitting",
    r"mirror(?:s|ed|ing)": "reflect, flip",
    r"(?:is|are|was|were|be) told|tells": "say, report; or name who does it",
    r"go(?:es|ing)? on": "continue, resume",
    r"cut off": "truncate, crop",
    r"so manieth": "every n-th",
    r'(?<=""")What': "a noun: the subject of the sentence",
    r"of (?:yours|theirs|its own|their own)": "your; separate",
}
WORDS = re.compile("|".join(rf"(\b(?:{words})\b)" for words in BETTER), re.IGNORECASE)
TEXTS = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", -1)}
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]+`", re.DOTALL | re.MULTILINE)


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """The text in a file, with the lines where its parts begin."""
    if path.suffix == ".md":
        text = path.read_text(encoding="utf-8")
        yield 1, CODE.sub(lambda found: "\n" * found[0].count("\n"), text)
        return
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type in TEXTS:
                yield token.start[0], token.string


def main(names: list[str]) -> int:
    """Print the words in the files; 1 if there are any, else 0."""
    count = 0
    better = list(BETTER.values())
    for name in names:
        for first, text in prose(Path(name)):
            for match in WORDS.finditer(text):
                line = first + text.count("\n", 0, match.start())
                print(f"{name}:{line}: {match[0]!r}; better: {better[match.lastindex - 1]}")
                count += 1
    return min(count, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
