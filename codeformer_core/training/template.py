"""Where eyes and mouth lie in an aligned face, known from the five-point template."""

from ..faces import TEMPLATE, TEMPLATE_SIZE

Point = tuple[float, float]


def _on_grid(x: float, y: float) -> Point:
    """A point of the template in -1..1, where the crop's edges are."""
    return 2 * (x + 0.5) / TEMPLATE_SIZE - 1, 2 * (y + 0.5) / TEMPLATE_SIZE - 1


EYES: tuple[Point, Point] = (_on_grid(*TEMPLATE.left_eye), _on_grid(*TEMPLATE.right_eye))
"""Centres (x, y) in -1..1."""
MOUTH: Point = _on_grid(
    (TEMPLATE.mouth_left[0] + TEMPLATE.mouth_right[0]) / 2,
    (TEMPLATE.mouth_left[1] + TEMPLATE.mouth_right[1]) / 2,
)
"""Its centre."""
