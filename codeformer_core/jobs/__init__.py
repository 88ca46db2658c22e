"""Long jobs: which file becomes which, what is finished, and the engines that do the work.

What a job is knows no engine: `plan` says which pictures become which files, `restorer` takes one
of them from its source to its target, `record` keeps what is finished, `report` says what became
of all. An engine only decides where and in which order: `local` in this process, `cluster` in
many under Ray.
"""
