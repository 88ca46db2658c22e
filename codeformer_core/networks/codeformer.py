"""CodeFormer: predict the codes of the clean face, generate it, fuse in what the input still holds.

S. Zhou, K. C. K. Chan, C. Li, C. C. Loy, "Towards Robust Blind Face Restoration with Codebook
Lookup Transformer", NeurIPS 2022.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from ..errors import SettingError
from .config import ADAIN_BY_VARIANT, CodeFormerConfig
from .face_codes import FaceCodes
from .fidelity import Fidelity, fidelity_per_face
from .fusion import FeatureFusion
from .layers import Operations, adaptive_instance_norm
from .overflow import in_float32, overflowed
from .transformer import TransformerLayer
from .vqgan import Codebook, Encoder, Generator

Refinements = Mapping[int, Callable[[Tensor, Tensor], Tensor]]
"""{side: what becomes of (encoder's, generator's fused) features of that side}."""

ACTIVATIONS_AT_PEAK = 9.0
"""Feature maps of the widest level alive at once: 7.9 were counted for the published sizes, 9.1 for
a small network; the rest is for what convolutions need to work in."""


class CodeFormer(nn.Module):
    """Blind face restoration by code prediction (paper, figure 4).

    Args:
        config: sizes and variant.
        operations: where layer classes come from; `torch.nn`, or a host's casting layers.
    """

    notice: str | None = None
    """What its user should know; nothing."""

    def __init__(self, config: CodeFormerConfig, operations: Operations = nn) -> None:
        super().__init__()
        self.config = config
        vqgan, width = config.vqgan, config.width
        self.encoder = Encoder(vqgan, operations)
        self.quantize = Codebook(vqgan, operations)
        self.generator = Generator(vqgan, operations)
        self.position_emb = nn.Parameter(torch.zeros(vqgan.code_size**2, width))
        self.feat_emb = operations.Linear(vqgan.code_channels, width)
        self.ft_layers = nn.ModuleList(
            TransformerLayer(width, config.heads, operations) for _ in range(config.layers)
        )
        self.idx_pred_layer = nn.Sequential(
            operations.LayerNorm(width),
            operations.Linear(width, vqgan.codebook_size, bias=False),
        )
        channels = vqgan.channels_by_size
        self.fuse_convs_dict = nn.ModuleDict(
            {
                str(size): FeatureFusion(channels[size], operations, vqgan.narrow_norm_groups)
                for size in config.fusion_sizes
            }
        )

    @property
    def size(self) -> int:
        """Side of the crops in pixels."""
        return self.config.vqgan.image_size

    @property
    def variant(self) -> str:
        """What the weights were trained for: restoration, inpainting or colorization."""
        return self.config.variant

    @property
    def bytes_per_face(self) -> float:
        """Memory that the activations of one face take at their peak, estimated from the sizes."""
        levels = self.config.vqgan.channels_by_size.items()
        widest = max(side**2 * channels for side, channels in levels)
        return ACTIVATIONS_AT_PEAK * widest * self.dtype.itemsize

    @property
    def dtype(self) -> torch.dtype:
        """Type the network computes in, that of its weights.

        Where float16 overflows, the work is repeated in float32, with a warning.
        """
        return next(self.encoder.parameters()).dtype

    def forward(self, crops: Tensor, fidelity: Fidelity = 0.5, adain: bool | None = None) -> Tensor:
        """Restore aligned faces.

        Args:
            crops: (N, 3, S, S) RGB in -1..1, S = `size`, any floating dtype.
            fidelity: the paper's w, 0 (quality) to 1 (identity); one number or one a face.
            adain: match the code features' statistics to the input's; None takes the variant's
                own setting.

        Returns:
            (N, 3, S, S) about -1..1, not clamped, in the dtype of `crops`.

        Raises:
            SettingError: crops of another size, or a fidelity outside 0..1 or not one a face.
        """
        return self.decode(self.encode(crops), fidelity, adain).to(crops.dtype)

    def encode(self, crops: Tensor) -> FaceCodes:
        """Predict the codes of aligned faces (eq. 3).

        Args:
            crops: (N, 3, S, S) RGB in -1..1.

        Raises:
            SettingError: crops of another size.
        """
        if crops.ndim != 4 or crops.shape[1:] != (3, self.size, self.size):
            raise SettingError(
                f"this model restores crops of shape (N, 3, {self.size}, {self.size}), "
                f"got {tuple(crops.shape)}; crop the faces at {self.size} px"
            )
        codes = self._encode(crops)
        if not overflowed(codes.latents, codes.logits):
            return codes
        with in_float32(self):
            return self._encode(crops)

    def _encode(self, crops: Tensor) -> FaceCodes:
        sizes = self.config.feature_sizes
        latents, features = self.encoder.with_features(crops.to(self.dtype), sizes)
        return self.face_codes(latents, features)

    def face_codes(self, latents: Tensor, features: dict[int, Tensor]) -> FaceCodes:
        """Predict the codes from what the encoder made: as `encode`, but looks at no number.

        Args:
            latents: (B, code_channels, h, h).
            features: {side: (B, C, side, side)}.
        """
        logits = self.predict_logits(latents)
        return FaceCodes(
            latents, logits, logits.argmax(2), self.code_features(logits).to(latents), features
        )

    def code_features(self, logits: Tensor) -> Tensor:
        """What is drawn of these scores: the likeliest codes (eq. 3), or the mean of all codes.

        Args:
            logits: (B, h*h, codebook_size); gradients reach them through the mean alone.

        Returns:
            (B, code_channels, h, h).
        """
        temperature, side = self.config.code_temperature, self.config.vqgan.code_size
        if temperature:
            return self.quantize.mean(logits, temperature, side)
        return self.quantize.lookup(logits.argmax(2), side)

    def predict_logits(self, latents: Tensor) -> Tensor:
        """Scores of every code at every position: (B, C, h, h) -> (B, h*h, codebook_size)."""
        # (B, C, h, h) -> (B, h*h, C): one token a position
        tokens = self.feat_emb(latents.flatten(2).transpose(1, 2))
        # `to`: a host may have left this parameter, which no layer owns, on another device
        positions = self.position_emb.to(tokens)
        for layer in self.ft_layers:
            tokens = layer(tokens, positions)
        return self.idx_pred_layer(tokens)

    def decode(
        self,
        face_codes: FaceCodes,
        fidelity: Fidelity = 0.5,
        adain: bool | None = None,
        refinements: Refinements | None = None,
    ) -> Tensor:
        """Generate faces from predicted codes, fusing encoder features (eq. 5 and 6).

        Args:
            face_codes: what `encode` returned.
            fidelity: as in `forward`; 0 leaves the fusion out altogether.
            adain: as in `forward`.
            refinements: what follows the fusion, by side.

        Returns:
            (N, 3, S, S) about -1..1, in the network's type or wider.

        Raises:
            SettingError: a fidelity outside 0..1 or not one a face.
        """
        weight = _as_weight(fidelity, face_codes.latents)
        pictures = self.generate(face_codes, weight, adain, refinements)
        if not overflowed(pictures):
            return pictures
        with in_float32(self):
            weight = _as_weight(fidelity, face_codes.latents)
            return self.generate(face_codes, weight, adain, refinements)

    def generate(
        self,
        face_codes: FaceCodes,
        weight: Tensor | None,
        adain: bool | None = None,
        refinements: Refinements | None = None,
    ) -> Tensor:
        """`decode` for training: looks at no number, so that no GPU is waited for.

        Args:
            face_codes: as of `decode`.
            weight: (B or 1, 1, 1, 1) any fidelity, on the device; None leaves the fusion out.
            adain: as in `forward`.
            refinements: as of `decode`.

        Returns:
            (B, 3, S, S) about -1..1, infinite where float16 overflowed.
        """
        face_codes = face_codes.to(dtype=self.dtype)
        latents = face_codes.latents
        drawn = face_codes.code_features
        if ADAIN_BY_VARIANT[self.config.variant] if adain is None else adain:
            drawn = adaptive_instance_norm(drawn, latents)
        fused = self._fusions(face_codes.features, weight, refinements or {})
        return self.generator(drawn, fused)

    def _fusions(
        self, features: dict[int, Tensor], weight: Tensor | None, refinements: Refinements
    ) -> dict[int, Callable[[Tensor], Tensor]]:
        """What to do to the generator's features at each side; no fusion at fidelity 0."""
        steps: dict[int, list[Callable[[Tensor], Tensor]]] = defaultdict(list)
        if weight is not None:
            for size in self.config.fusion_sizes:
                fusion = self.fuse_convs_dict[str(size)]
                steps[size].append(partial(fusion, features[size], fidelity=weight))
        for size, refine in refinements.items():
            steps[size].append(partial(refine, features[size]))
        return {size: partial(_one_after_the_other, each) for size, each in steps.items()}


def _one_after_the_other(steps: list[Callable[[Tensor], Tensor]], x: Tensor) -> Tensor:
    for step in steps:
        x = step(x)
    return x


def _as_weight(fidelity: Fidelity, latents: Tensor) -> Tensor | None:
    """Fidelity as (B, 1, 1, 1), or None where it is 0 for every face."""
    values = fidelity_per_face(fidelity, latents.shape[0])
    return values.to(latents).reshape(-1, 1, 1, 1) if bool(values.any()) else None
