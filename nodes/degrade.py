"""Make a good picture bad, in the way of the paper."""

from __future__ import annotations

from typing import Any

import torch
from comfy_api.latest import io

from . import host
from .schema import image_input, schema


class DegradeImage(io.ComfyNode):
    """Degrade pictures."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Pictures in, worse pictures out."""
        return schema(
            node_id="CodeFormerDegradeImage",
            display_name="Degrade Image",
            description="Make pictures bad as the paper does to train: blur, shrink, noise, JPEG, "
            "enlarge back. For tests of what a restoration can do.",
            search_aliases=["blur", "jpeg artefacts", "low quality", "noise", "degradation"],
            inputs=[
                image_input("Good pictures."),
                _amount("blur", 2.0, 50.0, "Gaussian blur: its deviation in pixels."),
                _amount("motion", 0.0, 100.0, "Straight motion blur: its length in pixels."),
                io.Float.Input(
                    "downsample",
                    default=4.0,
                    min=1.0,
                    max=32.0,
                    step=0.5,
                    round=0.01,
                    tooltip="Factor by which pictures are made smaller, and enlarged back at the "
                    "end.",
                ),
                _amount("noise", 5.0, 100.0, "Gaussian noise: its deviation, of 255."),
                _amount("sensor_noise", 0.0, 100.0, "Poisson noise: its deviation at white."),
                io.Int.Input(
                    "jpeg_quality",
                    default=60,
                    min=0,
                    max=100,
                    tooltip="Quality of the JPEG compression, 1 to 100; 0 leaves it out.",
                ),
                io.Boolean.Input(
                    "gray", default=False, optional=True, tooltip="Take the colours away."
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=True,
                    tooltip="The same seed gives the same noise.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    "degraded", display_name="image", tooltip="The pictures at their size, 0 to 1."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        image: torch.Tensor,
        blur: float,
        motion: float,
        downsample: float,
        noise: float,
        sensor_noise: float,
        jpeg_quality: int,
        seed: int,
        gray: bool = False,
    ) -> io.NodeOutput:
        """Degrade."""
        from ..codeformer_core.degradation import Degradation, degrade
        from ..codeformer_core.images import as_images

        image = as_images(image)
        degradation = Degradation(
            blur_x=blur,
            motion=motion,
            downsample=downsample,
            gaussian_noise=noise,
            sensor_noise=sensor_noise,
            jpeg_quality=jpeg_quality or None,
            gray=gray,
        )
        # A JPEG has no pixels that are not numbers.
        worse = degrade(image[..., :3].nan_to_num(0.5).clamp(0, 1), degradation, seed)
        return io.NodeOutput(host.to_output(torch.cat([worse, image[..., 3:]], dim=-1)))


def _amount(name: str, default: float, largest: float, tooltip: str) -> Any:
    return io.Float.Input(
        name,
        default=default,
        min=0.0,
        max=largest,
        step=0.5,
        round=0.01,
        tooltip=tooltip + " 0 leaves it out.",
    )
