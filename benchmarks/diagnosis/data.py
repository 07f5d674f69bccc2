"""What is learned: data made by numpy, the same for the same seed, and text from the standard library."""

import argparse
import inspect
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

VALIDATION = 256
"""Samples that are kept back."""
CONTEXT = 32
"""Characters of one text sample."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """Samples and their labels; the last `VALIDATION` of them are never trained on."""

    inputs: Tensor
    """Of shape (samples, features), or (samples, CONTEXT) characters."""
    labels: Tensor
    """Classes of shape (samples,), next characters of shape (samples, CONTEXT), or targets of shape (samples, 1)."""
    outputs: int
    """What a network puts out for one label: the number of classes, or 1."""

    @property
    def training(self) -> int:
        """Samples to train on."""
        return len(self.inputs) - VALIDATION

    @property
    def text(self) -> bool:
        """Characters, not features."""
        return self.labels.dim() == 2 and not self.labels.is_floating_point()


def digits(random: np.random.Generator) -> Dataset:
    """Images of 8 by 8 in ten classes: a smooth pattern per class, shifted by up to a pixel, under noise."""
    rough = random.normal(size=(10, 8, 8))
    smooth = np.sum([np.roll(rough, (dy, dx), (1, 2)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)], axis=0) / 3
    labels = random.integers(10, size=2500)
    shifts = random.integers(-1, 2, size=(2500, 2))
    images = np.stack([np.roll(smooth[c], tuple(s), (0, 1)) for c, s in zip(labels, shifts, strict=True)])
    images = images + random.normal(scale=1.5, size=images.shape)
    return _classes(images.reshape(2500, 64), labels, 10)


def blobs(random: np.random.Generator) -> Dataset:
    """Five overlapping Gaussian clouds in ten dimensions."""
    centres = random.normal(scale=1.2, size=(5, 10))
    labels = random.integers(5, size=2500)
    return _classes(centres[labels] + random.normal(size=(2500, 10)), labels, 5)


def circles(random: np.random.Generator) -> Dataset:
    """Two noisy rings around each other in the plane."""
    labels = random.integers(2, size=2500)
    angle = random.uniform(0, 2 * np.pi, size=2500)
    radius = np.where(labels == 1, 0.5, 1.0) + random.normal(scale=0.12, size=2500)
    return _classes(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), labels, 2)


def regression(random: np.random.Generator) -> Dataset:
    """A smooth function of eight features under noise of a tenth of its variance."""
    clean = linear(random)
    wave = np.sin(clean.inputs.numpy() @ random.normal(size=(8, 3))).sum(axis=1, keepdims=True)
    noisy = clean.labels.numpy() + wave + random.normal(scale=0.5, size=wave.shape)
    return Dataset(clean.inputs, torch.tensor(noisy, dtype=torch.float32), 1)


def linear(random: np.random.Generator) -> Dataset:
    """A linear function of eight features, without noise: it can be solved."""
    inputs = random.normal(size=(2500, 8))
    labels = inputs @ random.normal(scale=0.5, size=(8, 1))
    return Dataset(torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels, dtype=torch.float32), 1)


def clicks(random: np.random.Generator) -> Dataset:
    """Two classes that a linear model tells apart as well as can be, one of them rarer: no loss but that of chance."""
    inputs = random.normal(size=(2500, 4))
    likely = 1 / (1 + np.exp(1.3 - inputs @ np.array([1.0, -0.8, 0.6, 0.4])))
    return _classes(inputs, random.random(2500) < likely, 2)


def text(random: np.random.Generator) -> Dataset:
    """Windows of the interpreter's own `argparse` and `inspect`, with the next character to tell."""
    source = b"".join(Path(inspect.getfile(module)).read_bytes() for module in (argparse, inspect))
    codes = np.frombuffer(source, dtype=np.uint8)
    known, places = np.unique(codes, return_inverse=True)
    starts = random.integers(len(places) - CONTEXT - 1, size=8000)
    windows = torch.tensor(np.stack([places[s : s + CONTEXT + 1] for s in starts]), dtype=torch.long)
    return Dataset(windows[:, :-1], windows[:, 1:], len(known))


def _classes(inputs: np.ndarray[tuple[int, ...], np.dtype[np.float64]], labels: object, outputs: int) -> Dataset:
    return Dataset(torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels, dtype=torch.long), outputs)


DATASETS = {
    "digits": digits,
    "blobs": blobs,
    "circles": circles,
    "clicks": clicks,
    "regression": regression,
    "linear": linear,
    "text": text,
}
"""Every task by name."""
