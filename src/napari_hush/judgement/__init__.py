"""Judging data and results, with the truth (PSNR, SSIM) and without it."""

from napari_hush.judgement.advice import Advice
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
    "check_data",
    "judge_residual",
    "psnr",
    "si_psnr",
    "ssim",
]
