"""Shows the state of runs, model and inputs on the controls of the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject

from napari_hush.widgets.data.scope_chooser import Scope
from napari_hush.widgets.dock.status import ActivityBar
from napari_hush.widgets.dock.view_state import DockState, resolve
from napari_hush.widgets.jobs.run_state import RunState
from napari_hush.widgets.model.fitting import trained_on_other_unit
from napari_hush.widgets.results.pairing import has_lost, to_save
from napari_hush.widgets.theme.repaint import paint_now
from napari_hush.widgets.theme.theme import Colours, stylesheet

if TYPE_CHECKING:
    import napari.viewer
    from qtpy.QtWidgets import QWidget

    from napari_hush.widgets.dock.controls import Controls
    from napari_hush.widgets.jobs.denoising_run import DenoisingRun
    from napari_hush.widgets.jobs.run import Run
    from napari_hush.widgets.jobs.training_run import TrainingRun
    from napari_hush.widgets.model.current_model import CurrentModel


class Presenter(QObject):
    """Shows runs, model and inputs on the controls, by `resolve`; ends with the dock."""

    def __init__(
        self,
        dock: QWidget,
        viewer: napari.viewer.Viewer,
        controls: Controls,
        model: CurrentModel,
        run: TrainingRun,
        denoising: DenoisingRun,
    ) -> None:
        super().__init__(dock)
        self._dock = dock
        self._viewer = viewer
        self._controls = controls
        self._model = model
        self._run = run
        self._denoising = denoising
        self._bars = ActivityBar(self), ActivityBar(self)
        self.denoised_last = False
        """Whether to show the state of the last denoising alone, since it began later."""
        self.awaits_check = False
        """Whether "Denoise now" waits for the check of the noise."""
        viewer.events.theme.connect(self._on_theme)
        self._on_theme()

    @property
    def uses_model(self) -> bool:
        """Whether "Denoise now" uses the current model, and trains no other one.

        The model must fit the layer, its intensities, and a method or network that a person
        has chosen, and be trained to the end.
        """
        return self._fits and not (self._model.unfinished or self.lost_structure)

    @property
    def lost_structure(self) -> bool:
        """Whether the model's own result of the chosen layer has lost structure."""
        pair, model = self._controls.compare.pair, self._model.model
        return pair is not None and model is not None and has_lost(pair[1], model)

    @property
    def continues(self) -> bool:
        """Whether "Denoise now" trains the current model, stopped early, further."""
        inputs, model = self._controls.inputs, self._model
        is_its_image = model.name == inputs.data.subject()
        more = not inputs.readiness.training_more
        return model.unfinished and is_its_image and more and self._fits

    @property
    def _fits(self) -> bool:
        inputs = self._controls.inputs
        other = inputs.settings.chosen_by_user and inputs.readiness.other_settings
        unfit = inputs.readiness.denoising or other or inputs.check.is_unusable
        fits = bool(self._model.name) and not unfit
        return fits and not self._is_other_unit

    @property
    def _is_other_unit(self) -> bool:
        model = self._model.model
        report = self._controls.inputs.check.report
        return model is not None and trained_on_other_unit(model, report)

    def update(self) -> None:
        """Show the current state of everything."""
        inputs, model, run = self._controls.inputs, self._model, self._run
        state, denoising = self.state, self._denoising.state
        together = state is denoising and not self.denoised_last
        is_its_own = inputs.data.subject() in denoising.subject.split(", ")
        verdict = self._controls.compare.verdict if is_its_own else ""
        dock = DockState(
            state,
            ended=run.state.message if together else "",
            readiness=inputs.readiness,
            layer=inputs.data.subject(),
            model=model.name,
            uses_model=self.uses_model,
            continues=self.continues,
            unfinished=model.unfinished,
            other_unit=self._is_other_unit,
            lost_structure=self.lost_structure,
            awaits_check=self.awaits_check,
            has_result=self._controls.compare.pair is not None,
            can_save=to_save(inputs.chosen(), self._viewer.layers) is not None,
            verdict=verdict,
            has_curve=bool(self._controls.plot.history.steps),
            seconds=None if state.busy else self._seconds(),
            may_end_early=inputs.may_end_early and not self.uses_model,
            seconds_after=inputs.seconds_after
            if self._controls.scope.value() is Scope.LAYER
            else 0.0,
            concurrent=denoising if state is not denoising else RunState(),
            has_snapshots=bool(model.snapshots or model.earlier),
            has_latest=run.latest is not None,
        )
        self._controls.showView(resolve(dock))
        busy = state.busy or denoising.busy
        self._controls.foot.footer.showRun(
            run.state.device, busy=busy, reported=run.device_memory
        )
        for bar, of in zip(self._bars, (run.state, denoising), strict=True):
            bar.show(of)

    def updateAndPaint(self, run: Run) -> None:
        """Show the new events of `run` and paint at once."""
        self.update()
        run.setPaintTime(paint_now(self._dock))

    def updateModel(self) -> None:
        """Show the current model, and whether it fits the chosen layer."""
        self._controls.card.setModel(self._model.model)
        self._controls.inputs.setModel(self._model.model)

    def close(self) -> None:
        """Remove the bars in napari's activity dock."""
        for bar in self._bars:
            bar.close()

    @property
    def state(self) -> RunState:
        """The state of the run in progress, or of the last one."""
        if self._run.state.busy:
            return self._run.state
        denoising = self._denoising.state
        return denoising if denoising.busy or self.denoised_last else self._run.state

    def _seconds(self) -> float | None:
        """Expected time of "Denoise now"; None if it is not known."""
        inputs = self._controls.inputs
        if self.uses_model:
            return inputs.denoisingSeconds()
        return None if inputs.cost is None else inputs.cost.seconds

    def _on_theme(self, event: Any = None) -> None:
        colours = Colours.of(self._viewer.theme)
        self._dock.setStyleSheet(stylesheet(colours))
        self._controls.plot.setColours(colours)
        self._controls.inputs.setColours(colours)
