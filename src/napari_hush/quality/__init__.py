"""Checks of data and results, with ground truth (PSNR, SSIM) and without."""

from napari_hush.quality.advice import Advice
from napari_hush.quality.correlation import NoiseCorrelation
from napari_hush.quality.metrics import (
    match_gain,
    multiscale_ssim,
    psnr,
    si_psnr,
    ssim,
)
from napari_hush.quality.motion import FrameAdvice
from napari_hush.quality.noise_model import (
    NoiseModel,
    noise_model,
    normalized_residual,
)
from napari_hush.quality.plots import (
    autocorrelation,
    plot_autocorrelation,
    plot_losses,
    plot_residual,
)
from napari_hush.quality.report import ChannelReport, DataReport, check_data
from napari_hush.quality.residual import ResidualReport, check_residual
from napari_hush.quality.warnings import (
    UnseenIntensities,
    correlated_noise,
    data_warnings,
    denoised_before,
    loss_warning,
    residual_warning,
    saturation,
    size_warning,
)

__all__ = [
    "Advice",
    "ChannelReport",
    "DataReport",
    "FrameAdvice",
    "NoiseCorrelation",
    "NoiseModel",
    "ResidualReport",
    "UnseenIntensities",
    "autocorrelation",
    "check_data",
    "check_residual",
    "correlated_noise",
    "data_warnings",
    "denoised_before",
    "loss_warning",
    "match_gain",
    "multiscale_ssim",
    "noise_model",
    "normalized_residual",
    "plot_autocorrelation",
    "plot_losses",
    "plot_residual",
    "psnr",
    "residual_warning",
    "saturation",
    "si_psnr",
    "size_warning",
    "ssim",
]
