"""What a detector found, judged by the geometry of faces: none, twice, or turned."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

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
LARGEST_DOUBTFUL_RESIDUAL = 22.0
"""The same of a face that scores less than `SURE_SCORE`. Of 1,080 faces, sharp to badly degraded, 4
are lost by it, and a third of the ears, flowers and curls that are taken for faces."""
SURE_SCORE = 0.95
"""A face found with this score is one. Turned faces are believed from here on: of 250 doubtful
upright faces, sharp to badly degraded, 2 come out turned; of 840 turned ones 93% upright."""
DOUBTFUL_SCORE = 0.97
"""What scores less is looked at again: heads on their heads score up to 0.964 as upright ones."""
CLEARLY_BETTER = 0.005
"""By which a face must look more like one when it is turned."""
TURNED_SCORE = 0.9
"""Least score of a face in a turned copy of a picture in which nothing was found."""
SAME_FACE = 0.3
"""Two faces whose centres are nearer than this share of the larger aligned square are one: heads
cheek to cheek are at least 0.36 apart, a close-up that is found twice has about 0.2."""
SAME_DOUBTFUL_FACE = 0.45
"""The same, where the points of one of the two fit badly."""
SAME_SCALE = 2.0
"""Beyond this ratio of sizes they are two all the same: a child before an adult."""
PART_SCALE = 0.7
"""A finding smaller than this share of a face, about whose eyes or mouth it is, is none."""
PART_REACH = 0.22
"""From the centre of a face to its eyes and mouth, as a share of the aligned square."""


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
    """Whether a second look, also at turned copies, is worth it."""
    return finding.score < DOUBTFUL_SCORE or residual(finding.landmarks) > DOUBTFUL_RESIDUAL


def seen_again(
    finding: Finding, upright: Sequence[Finding], turned: Sequence[Finding]
) -> Finding | None:
    """What a doubtful finding is after second looks at the place where it was found.

    Args:
        finding: what was found.
        upright: what an upright copy of that place shows.
        turned: what its turned copies show, all at the same size.

    Returns:
        The finding; or the face that turned copies show better; or None, if what was not found
        for sure is not found again.
    """
    best = max(turned, key=_likeness, default=None)
    as_found = max(map(_likeness, (finding, *upright)))
    if best and best.score >= SURE_SCORE and _likeness(best) >= as_found + CLEARLY_BETTER:
        return best
    return finding if finding.score >= SURE_SCORE or upright or turned else None


def is_face(finding: Finding) -> bool:
    """Whether box and points agree with each other and with a face."""
    across, down = centre(finding.landmarks)
    box = finding.box
    inside = box.left <= across <= box.right and box.top <= down <= box.bottom
    sure = finding.score >= SURE_SCORE
    largest = LARGEST_RESIDUAL if sure else LARGEST_DOUBTFUL_RESIDUAL
    return inside and residual(finding.landmarks) <= largest


def same_face(first: Finding, second: Finding) -> bool:
    """Whether two findings are one face."""
    smaller, larger = sorted((side(first.landmarks), side(second.landmarks)))
    if not smaller or larger > SAME_SCALE * smaller:
        return False
    apart = math.dist(centre(first.landmarks), centre(second.landmarks))
    worse = max(residual(first.landmarks), residual(second.landmarks))
    reach = SAME_FACE if worse <= DOUBTFUL_RESIDUAL else SAME_DOUBTFUL_FACE
    return apart < reach * larger


def without_repeats(findings: Iterable[Finding]) -> list[Finding]:
    """Each face once, as it was found best, and no part of a face."""
    kept: list[Finding] = []
    for finding in sorted(findings, key=_goodness, reverse=True):
        if not any(same_face(finding, other) or _is_part(finding, other) for other in kept):
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


def _likeness(finding: Finding) -> float:
    """How much a finding is like a face, among copies of one place at one size."""
    return finding.score - residual(finding.landmarks) / 1000


def _goodness(finding: Finding) -> float:
    return finding.score - residual(finding.landmarks) / 100


def _is_part(finding: Finding, face: Finding) -> bool:
    """Whether a finding is what a close-up shows about eyes or mouth of a face found better."""
    apart = math.dist(centre(finding.landmarks), centre(face.landmarks))
    whole = side(face.landmarks)
    return apart < PART_REACH * whole and side(finding.landmarks) < PART_SCALE * whole
