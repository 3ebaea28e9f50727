"""Simulated micrographs with ground truth: structures, optics, detectors; 2D and 3D.

Built-in networks are trained on them alone; see ``scripts/pretrain``.
"""

from pretraining.camera import (
    Detector,
    Optics,
    random_detector,
    random_optics,
)
from pretraining.structures import KINDS, scene

__all__ = ["KINDS", "Detector", "Optics", "random_detector", "random_optics", "scene"]
