"""Names of before, until nobody asks for them."""

from .folders import FOLDERS_VARIABLE, find_known, model_folders
from .load import load_detector

__all__ = ["FOLDERS_VARIABLE", "find_known", "load_detector", "model_folders"]
