"""Every language names every node, input and output; English is what the schemas say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

LOCALES = Path(__file__).parents[2] / "locales"
OTHERS = ("ja", "zh")


def described(host: SimpleNamespace) -> dict[str, Any]:
    """The schemas' own words, in the form of a language file."""

    def entries(parts: Any) -> dict[str, Any]:
        return {
            key: {"name": part.display_name or part.id, "tooltip": part.tooltip}
            for key, part in parts
        }

    words: dict[str, Any] = {}
    for node_id, node in host.nodes.items():
        schema = node.GET_SCHEMA()
        words[node_id] = {
            "display_name": schema.display_name,
            "description": schema.description,
            "inputs": entries((each.id, each) for each in schema.inputs),
            "outputs": entries((str(index), each) for index, each in enumerate(schema.outputs)),
        }
    return words


def saved(language: str) -> dict[str, Any]:
    return json.loads((LOCALES / language / "nodeDefs.json").read_text(encoding="utf-8"))


def shape(words: Any) -> Any:
    """The keys without the texts."""
    return {key: shape(value) for key, value in words.items()} if isinstance(words, dict) else None


def texts(words: Any) -> list[str]:
    if isinstance(words, str):
        return [words]
    parts = words.values() if isinstance(words, dict) else words
    return [text for part in parts for text in texts(part)]


@pytest.mark.parametrize("language", OTHERS)
def test_every_language_covers_everything(host: SimpleNamespace, language: str) -> None:
    assert shape(saved(language)) == shape(described(host))


@pytest.mark.parametrize("language", OTHERS)
def test_descriptions_are_translated(language: str) -> None:
    letters = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")
    for node in saved(language).values():
        explained = [node["description"]]
        explained += [entry["tooltip"] for entry in node["inputs"].values()]
        assert all(letters.search(text) for text in explained)


def test_texts_hold_nothing_that_the_frontend_reads_as_syntax(host: SimpleNamespace) -> None:
    for text in texts([described(host), *map(saved, OTHERS)]):
        assert text
        assert not re.search(r"[{}|@]", text), text


def test_the_host_serves_them(server: Any) -> None:
    languages = server.json("/i18n")
    for language in OTHERS:
        served = languages[language]["nodeDefs"]["CodeFormerSelectFaces"]
        assert served == saved(language)["CodeFormerSelectFaces"]
