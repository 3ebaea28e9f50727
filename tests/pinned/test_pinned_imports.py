"""Names that README and docs import.

A name may come to lie elsewhere, as long as the old path still leads to it; it may say
that it is deprecated. The tables are what `record.py imports` printed at d419436.
"""

from __future__ import annotations

import warnings
from importlib import import_module

import pytest

NAMED = {
    "napari_hush": ["CAREamist", "denoise"],
    "napari_hush.axes": [],
    "napari_hush.config": [
        "BackgroundConfig",
        "DataConfig",
        "InferenceConfig",
        "QuantileConfig",
        "create_care_configuration",
        "create_n2n_configuration",
        "create_n2v_configuration",
    ],
    "napari_hush.dataset": [],
    "napari_hush.errors": ["HushError"],
    "napari_hush.events": [],
    "napari_hush.exchange": [],
    "napari_hush.io": ["read_image", "write_tiff"],
    "napari_hush.io.czi": ["read_czi"],
    "napari_hush.io.samples": ["GAIN", "OFFSET", "READ_NOISE", "simulated"],
    "napari_hush.judgement": ["check_data", "judge_residual", "psnr", "si_psnr", "ssim"],
    "napari_hush.lightning": ["PredictDataModule", "TrainDataModule"],
    "napari_hush.models": [],
    "napari_hush.n2v": [],
    "napari_hush.prediction": [],
}
DESCRIBED = {
    "napari_hush.axes": ["AxesMap", "spatial_axes", "validate_axes"],
    "napari_hush.config": [
        "AlgorithmConfig",
        "BackgroundConfig",
        "Configuration",
        "CosineConfig",
        "DataConfig",
        "InferenceConfig",
        "MeanStdConfig",
        "MinMaxConfig",
        "N2VManipulateConfig",
        "NoNormalizationConfig",
        "NormalizationConfig",
        "OptimizerConfig",
        "QuantileConfig",
        "ReduceLROnPlateauConfig",
        "StepLRConfig",
        "TrainingConfig",
        "UNetConfig",
        "XYFlipConfig",
        "XYRandomRotate90Config",
        "as_yaml",
        "create_care_configuration",
        "create_n2n_configuration",
        "create_n2v_configuration",
        "fitting_pool_z",
        "fitting_transforms",
        "load_configuration",
        "save_configuration",
        "set_field",
    ],
    "napari_hush.dataset": [
        "Augmentation",
        "Block",
        "DevicePatches",
        "InMemoryDataset",
        "IterableDataset",
        "LoadedBlocks",
        "Normalization",
        "PatchDataset",
        "PatchSampler",
        "Share",
        "SharedBatches",
        "Statistics",
        "Storage",
        "choose_storage",
        "cut",
        "device_bytes",
        "exact_float",
        "fits_on",
        "foreground",
        "marked",
        "measure",
        "patches",
        "require_finite",
    ],
    "napari_hush.errors": [
        "ConfigurationError",
        "DataError",
        "ExistingFileError",
        "HushError",
        "LostProcessError",
        "MissingFileError",
        "ModelFileError",
        "OutOfMemoryError",
        "SomeFilesFailedError",
        "SourceTypeError",
        "TrainingError",
        "UnreadableFileError",
        "UnwritableFileError",
    ],
    "napari_hush.events": [
        "BatchHalved",
        "Caution",
        "EarlyStopped",
        "EpochDone",
        "Event",
        "FileWritten",
        "ImageStarted",
        "OnProgress",
        "PixelsClipped",
        "Plateau",
        "PreviewFailed",
        "SnapshotTaken",
        "StepsDone",
        "TilesDone",
        "TrainingDone",
        "TrainingPaused",
        "TrainingResumed",
        "TrainingStarted",
    ],
    "napari_hush.exchange": [
        "About",
        "export_model",
        "open_model",
        "refuse_existing",
        "write_onnx",
        "write_package",
        "write_torchscript",
    ],
    "napari_hush.io": [
        "Content",
        "Image",
        "ImageMetadata",
        "Pixels",
        "RECORD",
        "ReadSource",
        "Result",
        "ResultImage",
        "TiffResult",
        "ZarrResult",
        "axes_of",
        "changed_meanwhile",
        "changes_of",
        "check_source",
        "content_of",
        "file_stamp",
        "file_type",
        "fingerprint",
        "is_path",
        "list_files",
        "load_images",
        "memory_told",
        "named_axes",
        "open_images",
        "pair_files",
        "plan_targets",
        "read_czi",
        "read_image",
        "read_metadata",
        "read_record",
        "read_tiff",
        "require",
        "require_memory",
        "select_channels",
        "unfinished",
        "write_tiff",
    ],
    "napari_hush.io.samples": ["GAIN", "OFFSET", "READ_NOISE", "real", "simulated"],
    "napari_hush.judgement": [
        "Advice",
        "ChannelReport",
        "DataReport",
        "NoiseCorrelation",
        "ResidualReport",
        "Unseen",
        "check_data",
        "data_cautions",
        "judge_residual",
        "psnr",
        "residual_caution",
        "saturation",
        "si_psnr",
        "size_caution",
        "ssim",
    ],
    "napari_hush.lightning": [
        "HushModule",
        "Losses",
        "PredictDataModule",
        "PreviewCallback",
        "ProgressCallback",
        "RunControl",
        "RunState",
        "Snapshot",
        "TrainDataModule",
        "interrupted_run",
        "load_state",
        "model_of",
        "new_network",
        "refuse_if_interrupted",
        "remove_state",
        "thinned",
        "train",
    ],
    "napari_hush.models": [
        "Model",
        "Precision",
        "Provenance",
        "UNet",
        "choose_device",
        "choose_precision",
        "folded",
        "freed_memory_kept",
        "halo",
        "is_out_of_memory",
        "load_model",
        "provenance_of",
        "rectifying",
        "result_record",
        "save_model",
    ],
    "napari_hush.n2v": [
        "Masked",
        "choose_neighbours",
        "choose_pixels",
        "loss",
        "mask",
        "struct_offsets",
    ],
    "napari_hush.prediction": [
        "FileTarget",
        "Region",
        "Tile",
        "TileDataset",
        "alike",
        "check_suits",
        "denoise",
        "denoise_lazily",
        "denoise_to_file",
        "plan_tiles",
        "predict_files",
        "result_axes",
        "result_dtype",
    ],
}


def names_of(table):
    for module, names in table.items():
        yield from ((module, name) for name in names or [None])


def found(module, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        there = import_module(module)
        return there if name is None else getattr(there, name)


@pytest.mark.parametrize(("module", "name"), [*names_of(NAMED)])
def test_what_the_pages_import_is_there(module, name):
    assert found(module, name) is not None


@pytest.mark.parametrize("module", DESCRIBED)
def test_what_the_api_pages_describe_is_there(module):
    missing = []
    for name in DESCRIBED[module]:
        try:
            found(module, name)
        except AttributeError:
            missing.append(name)
    assert missing == []


def test_an_error_is_one_class_wherever_it_is_imported_from():
    """Who catches `napari_hush.errors.HushError` catches what the facade raises."""
    careamist = found("napari_hush", "CAREamist")
    with pytest.raises(found("napari_hush.errors", "MissingFileError")) as caught:
        careamist("nowhere.safetensors")
    assert isinstance(caught.value, found("napari_hush.errors", "HushError"))
