"""The run that denoises layers into new layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from napari_hush.errors import counted
from napari_hush.events import Event, TilesDone
from napari_hush.widgets.jobs.denoising_task import Denoising, DenoisingSeveral
from napari_hush.widgets.jobs.run import Run
from napari_hush.widgets.jobs.run_state import Activity, Phase
from napari_hush.widgets.jobs.task_events import CanvasReady
from napari_hush.widgets.notifications import notify
from napari_hush.widgets.results.result_layer import ResultLayer

if TYPE_CHECKING:
    from concurrent.futures import Future

    from qtpy.QtWidgets import QWidget

    from napari_hush.models import Model
    from napari_hush.widgets.results.save_image import SavingImage


class DenoisingRun(Run):
    """Denoises layers of `viewer` one after the other into new layers, and saves those."""

    def __init__(self, viewer: Any, parent: QWidget) -> None:
        super().__init__(parent, self._message)
        self._widget = parent
        self._viewer = viewer
        self._results: list[ResultLayer] = []
        self._model: Model | None = None
        self._newer: Future[Model] | None = None
        self._network_alone = False
        self._rest = ""
        self.progressed.connect(self._on_progressed)
        self.refused.connect(notify)
        self.ended.connect(self._on_ended)

    def denoise(self, tasks: Sequence[Denoising]) -> None:
        """Run `tasks`, at least one."""
        self._results = []
        self._model, self._newer = tasks[0].model, tasks[0].newer
        self._network_alone = tasks[0].network_alone
        is_part_of_first = tasks[0].model is None and tasks[0].part
        self._rest = "; the rest is denoised after training" if is_part_of_first else ""
        subject = ", ".join(task.origin.name for task in tasks)
        task = tasks[0] if len(tasks) == 1 else DenoisingSeveral(tasks)
        self.start(Activity.DENOISING, subject, task)
        if len(tasks) == 1:
            self._warnings.skip("structure")  # the verdict says so
        if tasks[0].model is None:  # training will say the rest
            for about in ("noise", "planes", "saturation"):
                self._warnings.skip(about)

    def save(self, task: SavingImage) -> None:
        """Run `task`."""
        self._results = []
        self.start(Activity.SAVING_IMAGE, task.path.name, task)

    @property
    def is_seen(self) -> bool:
        """Whether the current result layer is visible."""
        return self._result is not None and self._result.is_seen

    @property
    def _result(self) -> ResultLayer | None:
        return self._results[-1] if self._results else None

    def _on_progressed(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, CanvasReady):
                if self._result is not None:
                    self._result.finish()
                layer = ResultLayer(
                    self._viewer,
                    event.origin,
                    event.canvas,
                    event.record,
                    part=event.part,
                    before_training=event.before_training,
                    widget=self._widget,
                )
                self._results.append(layer)
            elif isinstance(event, TilesDone) and self._result is not None:
                self._result.show(event.regions)
        if self._result is not None and not self._result.is_there:
            self._stop.set()  # the user has removed the layer

    def _message(self, value: Any) -> str:
        state, result = self.state, self._result
        if state.activity is Activity.SAVING_IMAGE:
            return str(value)
        if result is None or not result.is_there:
            return "Cancelled."
        if state.done < state.total:
            result.finish_partial(state.done)
            return f"Cancelled after {state.done} of {counted(state.total, 'tile')}."
        result.finish()
        names = ", ".join(f"“{r.name}”" for r in self._results if r.is_there)
        files = ", ".join(f"“{r.file}”" for r in self._results if r.file is not None)
        where = f", stored in {files} because memory is too small" if files else ""
        model = self._model
        if self._newer is not None:
            model = self._newer.result()
            where += f" with the model after step {model.steps:,}"
        if model is not None and (model.own_value or model.built_in_share):
            if self._network_alone:
                where += ", the output of the network alone"
            elif share := model.built_in_share:
                where += f"; {share.in_words}"
        return f"Denoised into {names}{where}{self._rest}."

    def _on_ended(self) -> None:
        state, result = self.state, self._result
        if state.phase is not Phase.FAILED or result is None:
            return
        if state.done < state.total:
            result.finish_partial(state.done)
        else:  # one of several layers, of which another could not be denoised
            result.finish()
