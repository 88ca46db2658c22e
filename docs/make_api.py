"""Write docs/api.md from the docstrings of the library's public names: `python docs/make_api.py`.

Needs griffe2md and ruff, which the extra `dev` brings; nothing of the library is imported or run.
"""

import ast
import re
import subprocess
import sys
from pathlib import Path

from griffe import GriffeLoader, Parser
from griffe2md import ConfigDict, render_object_docs

ROOT = Path(__file__).parent.parent
PACKAGE = "codeformer_core"
HEAD = """# The library's public names

Everything a caller normally needs is in `codeformer_core` itself; importing it loads nothing. This
page is made from the docstrings by `python docs/make_api.py`.
"""


def public_names() -> dict[str, str]:
    """The module that each public name comes from, by name."""
    source = (ROOT / PACKAGE / "__init__.py").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOMES":
            return ast.literal_eval(node.value)
    raise LookupError(f"{PACKAGE}/__init__.py has no table _HOMES")


def main() -> None:
    """Write the page."""
    loader = GriffeLoader(search_paths=[ROOT], docstring_parser=Parser.google)
    package = loader.load(PACKAGE)
    loader.resolve_aliases()
    config: ConfigDict = {
        "heading_level": 2,
        "show_root_heading": True,
        "show_root_full_path": False,
        "show_if_no_docstring": False,
        "show_submodules": False,
        "summary": False,
    }
    pages = [HEAD]
    for name, home in public_names().items():
        found = package[f"{home}.{name}"]
        pages.append(render_object_docs(found.final_target if found.is_alias else found, config))
    # The renderer links every type, also those that have no place on this page.
    text = re.sub(r"\[([^\]]+)\]\(#[^)]*\)", r"\1", "\n".join(pages))
    text = re.sub(r"^(#+ `)codeformer_core\.[a-z_.]+\.([A-Z])", r"\1\2", text, flags=re.MULTILINE)
    text = text.replace("<code>", "`").replace("</code>", "`")
    page = ROOT / "docs" / "api.md"
    page.write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", "-q", str(page)], check=True)


if __name__ == "__main__":
    main()
