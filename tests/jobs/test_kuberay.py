"""The Kubernetes object of docs/cluster.md is well-formed, and its command is one of ours."""

import shlex
from pathlib import Path

import pytest

from codeformer_core.cli import make_parser

ROOT = Path(__file__).parent.parent.parent


def test_the_job_of_kubernetes_runs_a_command_that_there_is() -> None:
    yaml = pytest.importorskip("yaml")
    pytest.importorskip("s3fs", reason="pip install s3fs to parse s3:// addresses")
    job = yaml.safe_load((ROOT / "docs" / "kuberay.yaml").read_text("utf-8"))
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    program, *arguments = shlex.split(job["spec"]["entrypoint"])
    assert program == "codeformer"
    options = make_parser().parse_args(arguments)
    assert (options.cluster, options.resume) == ("auto", True)
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    containers = [each for group in groups for each in group["template"]["spec"]["containers"]]
    assert len({container["image"] for container in containers}) == 1
    for container in containers:
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
