from __future__ import annotations

from napari_hush.widgets.jobs.tasks import StopRequest


def test_a_stop_request_calls_callbacks_added_before_and_after():
    heard = []
    stop = StopRequest()
    stop.when_set(lambda: heard.append("early"))
    assert not stop.is_set()
    stop.set()
    stop.when_set(lambda: heard.append("late"))
    stop.set()
    assert stop.is_set()
    assert heard == ["early", "late"]
