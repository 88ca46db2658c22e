"""The networks of the paper: VQGAN (stage I) and CodeFormer (stages II and III)."""

from .codeformer import CodeFormer
from .config import ADAIN_BY_VARIANT, CodeFormerConfig, VQGANConfig
from .discriminator import PatchDiscriminator
from .face_codes import FaceCodes
from .fidelity import Fidelity, fidelity_per_face
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
    "fidelity_per_face",
    "prepare_for_inference",
]
