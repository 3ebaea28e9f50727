"""Settings of training have the effect that their help says."""

import numpy as np
import pytest
import torch

from napari_hush import CAREamist
from napari_hush.config import create_care_configuration, create_n2v_configuration
from napari_hush.events import EpochDone, StepsDone, TrainingDone, TrainingStarted
from napari_hush.lightning.metrics import pair_metrics
from napari_hush.quality import si_psnr, ssim

TINY = {"depth": 1, "num_channels_init": 8, "use_batch_norm": False}


def scenes(*shape):
    return np.random.default_rng(0).normal(100, 10, shape).astype(np.float32)


def configured(create=create_n2v_configuration, *, training=None, **more):
    given = {
        "experiment_name": "tiny",
        "data_type": "array",
        "axes": "SYX",
        "patch_size": [16, 16],
        "batch_size": 4,
        "num_epochs": 2,
        "augmentations": [],
        "model_params": TINY,
        "seed": 3,
    }
    config = create(
        **{**given, **more}, trainer_params={"device": "cpu", "precision": "32"}
    )
    return config.replace(training_config=config.training_config.replace(**training or {}))


def trained(config, *sources):
    events = []
    careamist = CAREamist(config, on_progress=events.append)
    names = ("train_source", "train_target")
    careamist.train(**dict(zip(names, sources, strict=False)), val_minimum_split=2)
    return careamist, events


def weights(careamist):
    return np.concatenate(
        [p.detach().ravel() for p in careamist.model.network.parameters()]
    )


def test_accumulated_batches_are_one_large_batch():
    noisy = scenes(18, 16, 16)  # of which two are for validation
    at_once, _ = trained(configured(batch_size=8), noisy)
    steps, events = trained(configured(training={"accumulate_grad_batches": 2}), noisy)
    np.testing.assert_allclose(weights(steps), weights(at_once), rtol=1e-3, atol=1e-5)
    assert steps.model.steps == at_once.model.steps == 4
    assert next(e for e in events if isinstance(e, TrainingStarted)).batch_size == 8


@pytest.mark.parametrize(
    ("every", "epochs"), [(1, [0, 1, 2, 3, 4]), (2, [1, 3, 4]), (9, [4])]
)
def test_validation_after_some_epochs_and_the_last(every, epochs):
    training = {"num_epochs": 5, "check_val_every_n_epoch": every}
    careamist, events = trained(configured(training=training), scenes(6, 16, 16))
    assert careamist.get_losses()["val_epoch"] == epochs
    done = [e for e in events if isinstance(e, EpochDone)]
    assert [e.epoch for e in done if e.val_loss is not None] == epochs


def test_schedules_follow_validated_epochs_alone():
    """With a patience of 0 every validated epoch without improvement halves the rate."""
    plateau = {"patience": 0, "threshold": 1e6, "threshold_mode": "abs"}
    _, events = trained(
        configured(
            lr_scheduler="ReduceLROnPlateau",
            lr_scheduler_params=plateau | {"min_lr": 3e-4},
            training={"num_epochs": 7, "check_val_every_n_epoch": 2},
        ),
        scenes(6, 16, 16),
    )
    rates = [e.learning_rate for e in events if isinstance(e, StepsDone)]
    assert rates == pytest.approx([1e-3] * 4 + [5e-4] * 2 + [3e-4])


def test_the_learning_rate_warms_up():
    config = configured(
        lr_scheduler="StepLR", lr_scheduler_params={"step_size": 99, "warmup_steps": 4}
    )
    config = config.replace(
        training_config=config.training_config.replace(num_epochs=6, num_steps=1)
    )
    careamist, events = trained(config, scenes(6, 16, 16))
    rates = [e.learning_rate for e in events if isinstance(e, StepsDone)]
    assert rates == pytest.approx([2.5e-4, 5e-4, 7.5e-4, 1e-3, 1e-3, 1e-3])
    cold = config.algorithm_config.replace(lr_scheduler={"name": "StepLR", "step_size": 99})
    other, _ = trained(config.replace(algorithm_config=cold), scenes(6, 16, 16))
    assert not np.array_equal(weights(careamist), weights(other))


def test_training_ends_after_the_longest_time():
    training = {"max_time": 1e-6, "num_epochs": 50}
    careamist, events = trained(configured(training=training), scenes(6, 16, 16))
    assert careamist.model.steps == 1
    assert events[-1] == TrainingDone(True, events[-1].seconds)


def test_a_fraction_of_the_steps():
    careamist, events = trained(configured(num_steps=0.5), scenes(34, 16, 16))
    assert next(e for e in events if isinstance(e, TrainingStarted)).steps_per_epoch == 4
    assert careamist.model.steps == 8


@pytest.mark.parametrize(
    ("axes", "shapes", "channels"),
    [
        (("CYX", "YX"), ((3, 32, 32), (32, 32)), {"n_channels_in": 3}),
        (("YX", "CYX"), ((32, 32), (2, 32, 32)), {"n_channels_out": 2}),
        (("YXC", "CYX"), ((32, 32, 2), (2, 32, 32)), {"n_channels_in": 2}),
        (("ZYXC", "ZYX"), ((8, 32, 32, 3), (8, 32, 32)), {"n_channels_in": 3}),
    ],
)
def test_targets_with_other_axes(axes, shapes, channels):
    config = configured(
        create_care_configuration,
        axes=axes[0],
        target_axes=axes[1],
        patch_size=[4, 16, 16] if "Z" in axes[0] else [16, 16],
        num_steps=2,
        **channels,
    )
    noisy, clean = (scenes(*shape) for shape in shapes)
    careamist, _ = trained(config, noisy, clean + 1)
    clean = careamist.predict(noisy)
    count = config.algorithm_config.model.num_classes
    axis = axes[0].index("C") if "C" in axes[0] else 0
    assert clean.shape[axis] == count
    assert clean.size == count * 32 * 32 * (8 if "Z" in axes[0] else 1)


def test_metrics_of_pairs_are_those_of_images():
    """Patches of two channels that are as large as images."""
    rng = np.random.default_rng(1)
    clean = rng.normal(500, 100, (3, 2, 4, 24, 30)).astype(np.float32)
    result = (0.5 * clean + rng.normal(7, 20, clean.shape)).astype(np.float32)
    clean[2, 1] = 5  # counts in no metric
    (psnrs, count), (ssims, count_ssim) = pair_metrics(
        torch.from_numpy(result), torch.from_numpy(clean)
    ).tolist()
    channels = [
        (r, c)
        for rs, cs in zip(result, clean, strict=True)
        for r, c in zip(rs, cs, strict=True)
    ][:5]
    assert (count, count_ssim) == (5, 20)
    assert psnrs / 5 == pytest.approx(
        np.mean([si_psnr(r, c) for r, c in channels]), rel=1e-5
    )
    planes = [
        ssim(plane, truth, data_range=float(np.ptp(c)))
        for r, c in channels
        for plane, truth in zip(r, c, strict=True)
    ]
    assert ssims / 20 == pytest.approx(np.mean(planes), rel=1e-4)
    same, _ = pair_metrics(*[torch.from_numpy(clean[:1, :, 0, :8, :8])] * 2).tolist()
    assert same == pytest.approx([240, 2])


def test_metrics_are_logged_for_pairs_alone(tmp_path):
    clean = scenes(12, 16, 16)
    noisy = clean + 1
    config = configured(create_care_configuration, training={"logger": "csv"})
    events = []
    careamist = CAREamist(config, work_dir=tmp_path, on_progress=events.append)
    careamist.train(
        train_source=noisy, train_target=clean, log_dir="logs", val_minimum_split=2
    )
    losses = careamist.get_losses()
    done = [event.val_metrics for event in events if isinstance(event, EpochDone)]
    for name in ("val_si_psnr", "val_ssim"):
        assert losses[name] == [each[name] for each in done]
        assert len(losses[name]) == 2
    table = next((tmp_path / "logs").rglob("metrics.csv")).read_text()
    assert "val_si_psnr" in table
    assert "val_ssim" in table
    alone, _ = trained(configured(), noisy)
    assert alone.get_losses()["val_ssim"] == []
