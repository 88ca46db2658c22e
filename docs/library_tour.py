"""A tour of the library: `pip install -e '.[demo]'`, then `python docs/library_tour.py`.

Finds a face, cuts it out, encodes it once, decodes it at three fidelities, pastes each back and
measures it, and writes one sheet, `tour.png`. The model is the built-in one; nothing is downloaded.
"""

import sys
from pathlib import Path

import torch
from skimage import data

import codeformer_core as cf
from codeformer_core.degradation import Degradation, degrade
from codeformer_core.faces import crop_faces, draw_faces
from codeformer_core.images import Picture, as_images
from codeformer_core.images.sheet import Panel, draw_sheet
from codeformer_core.metrics import IdentityNetwork, psnr
from codeformer_core.pipeline import decode_crops, encode_crops, paste_crops

FIDELITIES = (0.0, 0.5, 1.0)

# A picture is a tensor (H, W, 3) in 0..1, a batch (B, H, W, 3). `as_images` takes what there is;
# `cf.read_picture` reads files. This one is NASA's portrait of Eileen Collins, made worse.
clean = as_images(data.astronaut())
damage = Degradation(blur_x=2.0, downsample=4.0, gaussian_noise=8.0, jpeg_quality=50)
degraded = degrade(clean[0], damage, seed=7)[None]

# Load: names of known models or paths of files.
network = cf.load_codeformer("builtin")
detector = cf.load_detector("auto")

# Detect: boxes, landmarks, and where each face lies in the picture.
faces = detector.detect(degraded)
print(*faces, sep="\n")

# Crop: upright squares of the network's size.
crops = crop_faces(degraded, faces, network.size)

# Encode once; each fidelity then costs the decoder only.
encoded = encode_crops(network, crops)
restored = [decode_crops(encoded, fidelity) for fidelity in FIDELITIES]

# Paste: outside of the mask every pixel stays as it was.
painted = [paste_crops(degraded, each.crops, faces) for each in restored]
assert all(torch.equal(each.images[each.mask == 0], degraded[each.mask == 0]) for each in painted)

# Compare with the clean face: decibels, and the distance of the face descriptors.
identity = IdentityNetwork()
target = crop_faces(clean, faces, 256)


def described(images: torch.Tensor, title: str) -> Panel:
    """A face of a picture, with how close it is to the clean one."""
    face = crop_faces(images, faces, 256)
    decibels, distance = psnr(target, face)[0], identity.distance(target, face)[0]
    return Panel(face[0], (title, f"PSNR {decibels:.1f} dB, identity distance {distance:.2f}"))


shown = [
    [
        Panel(draw_faces(degraded, faces)[0], ("found",)),
        *(
            Panel(each.images[0], (f"fidelity {w}",))
            for w, each in zip(FIDELITIES, painted, strict=True)
        ),
    ],
    [
        described(degraded, "degraded"),
        *(
            described(each.images, f"fidelity {w}")
            for w, each in zip(FIDELITIES, painted, strict=True)
        ),
    ],
]
path = Path(sys.argv[1] if len(sys.argv) > 1 else "tour.png")
cf.write_picture(path, Picture(draw_sheet(shown, 384)))
print(f"wrote {path}")
