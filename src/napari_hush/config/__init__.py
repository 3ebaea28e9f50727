"""Configurations: frozen values with all defaults, limits, units and help texts."""

from napari_hush.config.algorithm import (
    AlgorithmConfig,
    CosineConfig,
    OptimizerConfig,
    ReduceLROnPlateauConfig,
    StepLRConfig,
    UNetConfig,
    fitting_pool_z,
)
from napari_hush.config.base import set_field
from napari_hush.config.configuration import (
    Configuration,
    as_yaml,
    load_configuration,
    save_configuration,
)
from napari_hush.config.data import (
    BackgroundConfig,
    DataConfig,
    InferenceConfig,
    MeanStdConfig,
    MinMaxConfig,
    NoNormalizationConfig,
    NormalizationConfig,
    QuantileConfig,
)
from napari_hush.config.factories import (
    create_advanced_care_config,
    create_advanced_n2n_config,
    create_advanced_n2v_config,
    create_care_config,
    create_care_configuration,
    create_n2n_config,
    create_n2n_configuration,
    create_n2v_config,
    create_n2v_configuration,
    create_structn2v_config,
)
from napari_hush.config.training import TrainingConfig
from napari_hush.config.transforms import (
    N2VManipulateConfig,
    XYFlipConfig,
    XYRandomRotate90Config,
    fitting_transforms,
)

__all__ = [
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
    "create_advanced_care_config",
    "create_advanced_n2n_config",
    "create_advanced_n2v_config",
    "create_care_config",
    "create_care_configuration",
    "create_n2n_config",
    "create_n2n_configuration",
    "create_n2v_config",
    "create_n2v_configuration",
    "create_structn2v_config",
    "fitting_pool_z",
    "fitting_transforms",
    "load_configuration",
    "save_configuration",
    "set_field",
]
