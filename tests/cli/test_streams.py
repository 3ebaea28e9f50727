"""What cannot be printed does not stop the work, nor change how it is said to end."""

import errno
import io
import os
import sys

import pytest

from napari_hush.cli import main
from napari_hush.cli.streams import Stream, safe_streams


class Full(io.StringIO):
    """A log on a disk that is full."""

    def __init__(self, number=errno.ENOSPC):
        super().__init__()
        self.number = number

    def write(self, text):
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "żółć \u2192 \\udcff"),
        ("cp1252", "\\u017có\\u0142\\u0107 \\u2192 \\udcff"),
        ("latin-1", "\\u017có\\u0142\\u0107 \\u2192 \\udcff"),
        ("ascii", "\\u017c\\xf3\\u0142\\u0107 \\u2192 \\udcff"),
    ],
)
def test_characters_that_the_console_lacks(encoding, shown):
    written = io.BytesIO()
    stream = Stream(io.TextIOWrapper(written, encoding))
    print("żółć →", os.fsdecode(b"\xff"), file=stream, flush=True)
    assert written.getvalue().decode(encoding) == f"{shown}\n"
    assert stream.error is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\tb\n", "a\tb\n"),
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("\x9b2J", "\\x9b2J"),
        ("ok\rhush: failed", "ok\\rhush: failed"),
        ("\r 50%|##  |", "\r 50%|##  |"),
        ("\r      \r", "\r      \r"),
        ("fdp\u202efit", "fdp\\u202efit"),
    ],
)
def test_what_controls_a_terminal(text, shown):
    written = io.StringIO()
    assert Stream(written).write(text) == len(text)
    assert written.getvalue() == shown


@pytest.mark.parametrize("stream", [None, Full(), Full(errno.EPIPE), Full(errno.EIO)])
def test_streams_that_take_nothing(stream):
    safe = Stream(stream)
    for _ in range(2):
        print("lost", file=safe, flush=True)
    assert safe.error is not None
    assert not safe.isatty()


def test_a_stream_that_was_closed():
    stream = io.StringIO()
    stream.close()
    safe = Stream(stream)
    print("lost", file=safe, flush=True)
    assert isinstance(safe.error, ValueError)


def test_the_streams_come_back(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    before = sys.stdout
    with safe_streams():
        print("lost", file=sys.stderr)
    assert (sys.stdout, sys.stderr) == (before, None)


def test_an_answer_that_is_lost_is_an_error(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "stdout", Full())
    assert main(["config", "n2v"]) == 2
    assert "cannot be printed" in capsys.readouterr().err
    assert main(["config", "n2v", "-o", str(tmp_path / "c.yml")]) == 0
    monkeypatch.setattr(sys, "stdout", Full(errno.EPIPE))
    assert main(["config", "n2v"]) == 0  # head has read enough
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["config", "n2v"]) == 2
