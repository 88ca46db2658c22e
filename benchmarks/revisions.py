"""Whether two revisions of this project make the same pictures, bit for bit.

Both restore the same dozen pictures with the same options on the processor, each in processes of
its own; the pixels of the results are compared.

    python benchmarks/revisions.py OTHER_CHECKOUT --detector retinaface_mobilenet0.25.pth
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).parent.parent


def make_pictures(folder: Path) -> dict[str, list[str]]:
    """Write the pictures, made of NASA's portrait of Eileen Collins; say how each is restored.

    Args:
        folder: an empty one.

    Returns:
        Options by file name.
    """
    from skimage.data import astronaut

    photo = Image.fromarray(astronaut())
    small = photo.resize((220, 220), Image.Resampling.BOX)
    noise = np.random.default_rng(1).normal(0, 12, (512, 512, 3))
    noisy = Image.fromarray((astronaut() + noise).clip(0, 255).astype(np.uint8))
    group = Image.new("RGB", (1100, 700), (90, 120, 80))
    for size, place in ((512, (20, 20)), (300, (540, 40)), (180, (860, 60)), (260, (560, 400))):
        group.paste(photo.resize((size, size), Image.Resampling.LANCZOS), place)
    seen_through = photo.copy()
    seen_through.putalpha(Image.linear_gradient("L").resize(photo.size))
    pictures = {
        "plain.png": (photo, []),
        "quality.png": (noisy, ["--fidelity", "0"]),
        "identity.png": (noisy, ["--fidelity", "1"]),
        "small.png": (small, ["--fidelity", "0.7"]),
        "group.png": (group, ["--fidelity", "0.5"]),
        "group_float32.png": (group, ["--dtype", "float32"]),
        "gray.png": (photo.convert("L"), []),
        "alpha.png": (seen_through, ["--fidelity", "0.25"]),
        "enlarged.png": (small, ["--upscale", "2"]),
        "odd.png": (group.crop((7, 3, 1050, 644)), ["--min-size", "90"]),
        "turned.png": (photo.rotate(20, fillcolor=(70, 80, 90)), []),
        "large.png": (photo.resize((2600, 2600), Image.Resampling.BICUBIC), []),
        "nobody.png": (Image.new("RGB", (300, 200), (30, 60, 90)), []),
        "aligned.png": (photo.crop((160, 40, 300, 180)), ["--aligned", "--fidelity", "0.6"]),
    }
    for name, (picture, _) in pictures.items():
        picture.save(folder / name)
    return {name: options for name, (_, options) in pictures.items()}


def restore(checkout: Path, picture: Path, out: Path, options: list[str]) -> np.ndarray:
    """Restore a picture with the code of a checkout.

    Returns:
        The pixels of the result.
    """
    command = [sys.executable, "-m", "codeformer_core", "restore", str(picture)]
    command += ["--output", str(out), "--device", "cpu", *options]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run(command, cwd=out.parent, env=environment, check=True, capture_output=True)
    return np.asarray(Image.open(out / picture.name))


def main() -> int:
    """Compare; the exit code is 1 if any pixel differs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("other", type=Path, help="a checkout of another revision")
    parser.add_argument("--detector", default="auto", help="one that both have (default: auto)")
    options = parser.parse_args()
    differing = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for picture, settings in make_pictures(folder).items():
            settings = [*settings, "--detector", options.detector]
            results = [
                restore(checkout.resolve(), folder / picture, folder / str(index), settings)
                for index, checkout in enumerate((options.other, HERE))
            ]
            changed = _differing(*results)
            restored = _differing(results[1], np.asarray(Image.open(folder / picture)))
            differing += changed > 0
            print(f"{picture:20} {changed:8} values differ of {restored:8} restored", flush=True)
    print(f"{differing} pictures differ")
    return int(differing > 0)


def _differing(first: np.ndarray, second: np.ndarray) -> int:
    """Number of values that differ; all of them where the sizes do."""
    return int((first != second).sum()) if first.shape == second.shape else first.size


if __name__ == "__main__":
    sys.exit(main())
