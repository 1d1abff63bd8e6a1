"""Layers, losses, initialisation by seed, and saved models."""

from .. import _threads as _threads  # first: it waits while another thread imports fastml itself
from . import utils
from .activations import ELU, GELU, Hardswish, LeakyReLU, ReLU, Sigmoid, SiLU, Softplus, Tanh
from .batch_norm import BatchNorm
from .checkpoint import load_checkpoint, save_checkpoint
from .cross_entropy import CrossEntropyLoss, NLLLoss
from .dropout import AlphaDropout, Dropout, Dropout1d, Dropout2d
from .flatten import Flatten
from .group_norm import GroupNorm, InstanceNorm
from .layer_norm import LayerNorm
from .linear import Linear
from .losses import BCEWithLogitsLoss, HuberLoss, KLDivLoss, L1Loss, LogCoshLoss, MSELoss
from .module import Module, Parameter
from .rms_norm import RMSNorm
from .seeding import manual_seed
from .sequential import Sequential
from .serialization import load, load_metadata, save
from .step import compile_step

__all__ = [
    "ELU",
    "GELU",
    "AlphaDropout",
    "BCEWithLogitsLoss",
    "BatchNorm",
    "CrossEntropyLoss",
    "Dropout",
    "Dropout1d",
    "Dropout2d",
    "Flatten",
    "GroupNorm",
    "Hardswish",
    "HuberLoss",
    "InstanceNorm",
    "KLDivLoss",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogCoshLoss",
    "MSELoss",
    "Module",
    "NLLLoss",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "compile_step",
    "load",
    "load_checkpoint",
    "load_metadata",
    "manual_seed",
    "save",
    "save_checkpoint",
    "utils",
]
