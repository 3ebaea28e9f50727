"""SI-PSNR and SSIM of validation patches, as those of `napari_hush.quality`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from napari_hush.quality.metrics import K1, K2, gaussian

METRICS = ("val_si_psnr", "val_ssim")
"""Names of the metrics: in dB, and at most 1."""
_EXACT = 1e-12
"""Least squared error in units of the range, for 120 dB."""


def pair_metrics(prediction: Tensor, target: Tensor) -> Tensor:
    """Sums and counts ``(2, 2)`` of `METRICS` over patches ``(B, C, (Z), Y, X)``.

    Each channel of each patch counts by itself, in the range of its target, without those
    whose target is constant. SSIM is that of planes of 11 x 11 pixels or more.
    """
    with torch.autocast(prediction.device.type, enabled=False):
        shape = (-1, *target.shape[2:])
        a, b = (pixels.float().reshape(shape) for pixels in (prediction, target))
        pixels = tuple(range(1, a.ndim))
        spans = b.amax(pixels) - b.amin(pixels)
        a, b, spans = (part[spans > 0] for part in (a, b, spans))
        spans = spans.reshape(-1, *(1 for _ in pixels))
        found = [_si_psnr(a / spans, b / spans), _ssim(a / spans, b / spans)]
    sums = [(values.sum(), values.new_tensor(float(values.numel()))) for values in found]
    return torch.stack([torch.stack(pair) for pair in sums])


def _si_psnr(a: Tensor, b: Tensor) -> Tensor:
    a, b = (
        pixels.flatten(1) - pixels.flatten(1).mean(1, keepdim=True) for pixels in (a, b)
    )
    gain = (a * b).sum(1) / (a * a).sum(1).clamp(min=torch.finfo(a.dtype).tiny)
    return -10 * ((gain[:, None] * a - b) ** 2).mean(1).clamp(min=_EXACT).log10()


def _ssim(a: Tensor, b: Tensor) -> Tensor:
    height, width = a.shape[-2:]
    weights = torch.from_numpy(gaussian()).to(a)
    if min(height, width) < len(weights):
        return a.new_zeros(0)
    center = b.flatten(1).mean(1).reshape(-1, *(1 for _ in b.shape[1:]))
    a, b, center = (
        part.expand_as(b).reshape(-1, 1, height, width) for part in (a, b, center)
    )
    center = center[..., :1, :1]
    a, b = a - center, b - center
    stack = torch.cat([a, b, a * a, b * b, a * b])
    stack = functional.conv2d(stack, weights.reshape(1, 1, -1, 1))
    stack = functional.conv2d(stack, weights.reshape(1, 1, 1, -1))
    mean_a, mean_b, aa, bb, ab = stack.chunk(5)
    var_a, var_b, covariance = aa - mean_a**2, bb - mean_b**2, ab - mean_a * mean_b
    mean_a, mean_b = mean_a + center, mean_b + center
    above = (2 * mean_a * mean_b + K1**2) * (2 * covariance + K2**2)
    below = (mean_a**2 + mean_b**2 + K1**2) * (var_a + var_b + K2**2)
    return (above / below).mean((1, 2, 3))
