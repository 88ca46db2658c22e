"""The command line has the nodes' widgets under the same names, and the other way."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

import pytest

ONLY_NODE = {
    "image": "the command reads files: INPUT",
    "faces": "comes from another node",
    "upscale_model": "the host loads and tiles it",
    "video_frames": "the command takes the video itself",
    "meta_batch": "the same",
}
"""Inputs of CodeFormer Restore that the command has not, and why."""
ONLY_COMMAND = {
    "inputs": "the node gets pictures",
    "output": "another node saves them",
    "format": "the same",
    "quality": "the same",
    "max_megapixels": "another node has read them",
    "aligned": "Restore Faces does that",
    "search_size": "Detect Faces has it",
    "weights_dir": "the host has its folders",
    "device": "the host decides",
    "dtype": "an input of Load CodeFormer",
    "stability": "CodeFormer Restore Video has it",
    "people": "the same",
    "person": "Apply Person does that",
    "person_strength": "the same",
    "resume": "the host keeps what is done",
    "cluster": "the host is one process",
    "workers": "the same",
    "patience": "the same",
    "help": "the node has tooltips",
}
"""Options of `codeformer restore` that the node has not, and why."""


@pytest.fixture
def widgets(host: SimpleNamespace) -> dict[str, Any]:
    return {each.id: each for each in host.nodes["CodeFormerRestoreImage"].GET_SCHEMA().inputs}


@pytest.fixture
def options(host: SimpleNamespace) -> dict[str, argparse.Action]:
    commands = argparse.ArgumentParser().add_subparsers()
    return {each.dest: each for each in host.core("cli.restore").add_parser(commands)._actions}


def test_each_has_what_the_other_has(widgets, options) -> None:
    assert set(widgets) - set(options) == set(ONLY_NODE)
    assert set(options) - set(widgets) == set(ONLY_COMMAND)


def test_defaults_ranges_and_choices_are_the_same(widgets, host) -> None:
    detecting = host.nodes["CodeFormerDetectFaces"].GET_SCHEMA().inputs
    widgets |= {each.id: each for each in detecting if each.id == "search_size"}
    for option in host.core("cli.node_options").OPTIONS:
        widget = widgets[option.name]
        assert widget.default == option.default, option.name
        if isinstance(option.default, float):
            assert (widget.min, widget.max) == option.between, option.name
        assert (getattr(widget, "options", None) or []) == list(option.choices), option.name


def test_every_widget_of_the_command_changes_the_record(host) -> None:
    cli = host.core("cli.restore")
    assert {option.name for option in host.core("cli.node_options").OPTIONS} < set(cli.SETTINGS)
