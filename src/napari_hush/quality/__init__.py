"""Judging data and results, with the truth (PSNR, SSIM) and without it."""

from napari_hush.quality.advice import Advice
from napari_hush.quality.correlation import NoiseCorrelation
from napari_hush.quality.metrics import psnr, si_psnr, ssim
from napari_hush.quality.report import ChannelReport, DataReport, check_data
from napari_hush.quality.residual import ResidualReport, judge_residual
from napari_hush.quality.warnings import (
    Unseen,
    data_cautions,
    residual_caution,
    saturation,
    size_caution,
)

__all__ = [
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
]
