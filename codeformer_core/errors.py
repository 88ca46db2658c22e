"""Every error this library raises on purpose: one base class, one subclass for each kind of remedy.

Messages are written for the person in front of the screen: they name the file or the setting and
say what to do.
"""


class CodeFormerError(Exception):
    """Base of all errors raised on purpose by this library."""


class CheckpointError(CodeFormerError):
    """A weight file is damaged, of another model, or incomplete."""


class PictureError(CodeFormerError):
    """A picture or a face in it cannot be read or processed."""


class VideoError(CodeFormerError):
    """A video cannot be read or written."""


class DownloadError(CodeFormerError):
    """A download failed or did not match its published size or hash."""


class MissingModelError(CodeFormerError):
    """A model file or an optional dependency is not there; the message names the choices."""


class SettingError(CodeFormerError, ValueError):
    """A setting is outside its range or of the wrong shape."""


class OutOfMemoryError(CodeFormerError):
    """The device's memory is too small even for the smallest step."""
