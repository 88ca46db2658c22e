"""Long jobs: which file becomes which, what is finished, and the engines that do the work.

What a job is knows no engine: `Plan` says which pictures become which files, `PictureRestorer`
takes one of them from its source to its target, `Record` keeps what is finished, `Report` says
what became of all. An engine only decides where and in which order: `local` in this process,
`cluster` in many under Ray.
"""

from .local import restore_all
from .lock import only_job
from .outcome import Outcome
from .plan import Plan, Task
from .record import Record
from .report import Report
from .restorer import PictureRestorer, Settings

__all__ = [
    "Outcome",
    "PictureRestorer",
    "Plan",
    "Record",
    "Report",
    "Settings",
    "Task",
    "only_job",
    "restore_all",
]
