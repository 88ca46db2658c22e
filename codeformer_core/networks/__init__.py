"""The networks of the paper: VQGAN (stage I) and CodeFormer (stages II and III)."""

from .codeformer import CodeFormer, FaceCodes, Fidelity
from .config import ADAIN_BY_VARIANT, CodeFormerConfig, VQGANConfig
from .discriminator import PatchDiscriminator
from .inference import prepare_for_inference
from .vqgan import VQGAN

__all__ = [
    "ADAIN_BY_VARIANT",
    "VQGAN",
    "CodeFormer",
    "CodeFormerConfig",
    "FaceCodes",
    "Fidelity",
    "PatchDiscriminator",
    "VQGANConfig",
    "prepare_for_inference",
]
