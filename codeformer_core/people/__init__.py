"""Who is who: people known from reference photos, and which faces are theirs."""

from .descriptors import describe_crops
from .matching import DEFAULT_SURENESS, Match, match_faces, match_people, places_of
from .references import Person, known_people

__all__ = [
    "DEFAULT_SURENESS",
    "Match",
    "Person",
    "describe_crops",
    "known_people",
    "match_faces",
    "match_people",
    "places_of",
]
