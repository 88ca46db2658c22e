"""What a detector found, judged by the geometry of faces: none, twice, or turned."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ...errors import PictureError
from .. import affine
from ..alignment import TEMPLATE, fit_similarity
from ..types import TEMPLATE_SIZE, Landmarks
from .base import Finding

DOUBTFUL_RESIDUAL = 15.0
"""Root-mean-square pixels of the 512 template. Upright faces of 60 portraits fit within 7 in the
median and 17 at the 95th percentile; turned heads that are found with wrong points 23 to 76."""
LARGEST_RESIDUAL = 35.0
"""Of points that are taken for a face at all."""
SURE_SCORE = 0.95
"""A face found with this score is upright: of 60 portraits, none scored higher when turned."""
CLEARLY_BETTER = 0.01
"""By which a turned copy must score higher."""
NEARLY_AS_GOOD = 0.05
"""By how much it may score lower if its points fit twice as well."""
TURNED_SCORE = 0.9
"""Least score of a face in one of the three turned copies, each with false finds of its own."""
SAME_FACE = 0.3
"""Two faces whose centres are nearer than this share of the larger aligned square are one: heads
cheek to cheek are at least 0.36 apart, a close-up that is found twice has about 0.2."""
SAME_DOUBTFUL_FACE = 0.45
"""The same, where the points of one of the two fit badly."""
SAME_SCALE = 2.0
"""Beyond this ratio of sizes they are two all the same: a child before an adult."""


def residual(landmarks: Landmarks) -> float:
    """How far the points are from those of an upright face, after the best similarity.

    Returns:
        Root-mean-square distance in pixels of the 512 template; infinity if nothing can be fitted.
    """
    try:
        matrix = fit_similarity(landmarks.points, TEMPLATE.points)
    except PictureError:
        return math.inf
    fitted = affine.apply_all(matrix, landmarks.points)
    squares = [math.dist(*pair) ** 2 for pair in zip(fitted, TEMPLATE.points, strict=True)]
    return math.sqrt(sum(squares) / len(squares))


def is_doubtful(finding: Finding) -> bool:
    """Whether a look at turned copies is worth it."""
    return finding.score < SURE_SCORE or residual(finding.landmarks) > DOUBTFUL_RESIDUAL


def is_better(turned: Finding, upright: Finding) -> bool:
    """Whether a face found in a turned copy is the truth about what was found upright."""
    if turned.score < TURNED_SCORE:
        return False
    if turned.score >= upright.score + CLEARLY_BETTER:
        return True
    fits = residual(turned.landmarks) < residual(upright.landmarks) / 2
    badly_found = residual(upright.landmarks) > DOUBTFUL_RESIDUAL
    return badly_found and fits and turned.score >= upright.score - NEARLY_AS_GOOD


def is_face(finding: Finding) -> bool:
    """Whether box and points agree with each other and with a face."""
    across, down = centre(finding.landmarks)
    box = finding.box
    inside = box.left <= across <= box.right and box.top <= down <= box.bottom
    return inside and residual(finding.landmarks) <= LARGEST_RESIDUAL


def without_repeats(findings: Iterable[Finding]) -> list[Finding]:
    """Each face once, as it was found best."""
    kept: list[Finding] = []
    for finding in sorted(findings, key=_goodness, reverse=True):
        if not any(_same_face(finding, other) for other in kept):
            kept.append(finding)
    return kept


def centre(landmarks: Landmarks) -> affine.Point:
    """The mean of the five points."""
    across, down = zip(*landmarks.points, strict=True)
    return (sum(across) / len(across), sum(down) / len(down))


def side(landmarks: Landmarks) -> float:
    """Side of the aligned square in the picture's pixels; 0 if nothing can be fitted."""
    try:
        return TEMPLATE_SIZE / affine.mean_scale(fit_similarity(landmarks.points, TEMPLATE.points))
    except PictureError:
        return 0.0


def _goodness(finding: Finding) -> float:
    return finding.score - residual(finding.landmarks) / 100


def _same_face(first: Finding, second: Finding) -> bool:
    smaller, larger = sorted((side(first.landmarks), side(second.landmarks)))
    if not smaller or larger > SAME_SCALE * smaller:
        return False
    apart = math.dist(centre(first.landmarks), centre(second.landmarks))
    worse = max(residual(first.landmarks), residual(second.landmarks))
    reach = SAME_FACE if worse <= DOUBTFUL_RESIDUAL else SAME_DOUBTFUL_FACE
    return apart < reach * larger
