"""Judging data and results, with the truth (PSNR, SSIM) and without it."""

from napari_hush.judgement.advice import Advice
from napari_hush.judgement.cautions import (
    Unseen,
    data_cautions,
    residual_caution,
    saturation,
    size_caution,
)
from napari_hush.judgement.correlation import NoiseCorrelation
from napari_hush.judgement.metrics import psnr, si_psnr, ssim
from napari_hush.judgement.report import ChannelReport, DataReport, check_data
from napari_hush.judgement.residual import ResidualReport, judge_residual

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
