"""Take the pictures of the help pages, of workflows and of the README in a real ComfyUI.

Run from the repository, with the `test` extra and Chromium: `python docs/make_node_pictures.py`,
with names of nodes or workflows, `compare` or `picker`, to take only those. The photos are those
of `make_template_pictures.py`.
"""

from __future__ import annotations

import importlib.util
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
HELP = ROOT / "web" / "docs"
EXAMPLES = ROOT / "web" / "examples"
WORKFLOWS = ROOT / "workflows"
COMPARISON = ROOT / "docs" / "compare.jpg"
PICKER = ROOT / "docs" / "picker.jpg"
MARGIN = 24
BUTTONS = 32
"""Pixels above and below the comparison that hold its buttons."""
QUALITY = 82
THUMBNAIL = (960, 600)
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "Comfy.VueNodes.Enabled": False,
    "Comfy.Graph.CanvasInfo": False,
    "Comfy.LinkRenderMode": 2,
    "LiteGraph.Canvas.MinFontSizeForLOD": 0,
    "Comfy.NodeBadge.NodeSourceBadgeMode": "None",
}

NODES: dict[str, dict[str, Any]] = {
    "photo": {"type": "LoadImage", "widgets": {"image": "codeformer_old_photo.jpg"}},
    "sharp": {"type": "LoadImage", "widgets": {"image": "codeformer_portrait.jpg"}},
    "scratched": {"type": "LoadImage", "widgets": {"image": "codeformer_scratched_photo.webp"}},
    "model": {"type": "CodeFormerLoader"},
    "detector": {"type": "CodeFormerFaceDetectorLoader"},
    "parser": {"type": "CodeFormerFaceParserLoader", "size": [420, 150]},
    "restore_all": {"type": "CodeFormerRestoreImage", "size": [420, 560]},
    "detect": {"type": "CodeFormerDetectFaces", "size": [300, 460]},
    "select": {
        "type": "CodeFormerSelectFaces",
        "size": [420, 640],
        "widgets": {"rule": "picked", "picked": "1"},
    },
    "match": {"type": "CodeFormerMatchPeople", "size": [320, 420]},
    "crop": {"type": "CodeFormerCropFaces"},
    "restore": {"type": "CodeFormerRestoreFaces", "size": [280, 130]},
    "paste": {"type": "CodeFormerPasteFaces"},
    "encode": {"type": "CodeFormerEncodeFaces"},
    "decode": {"type": "CodeFormerDecodeFaces", "size": [280, 130]},
    "sweep": {"type": "CodeFormerFidelitySweep", "size": [560, 340]},
    "codes": {"type": "CodeFormerCodesToImage"},
    "degrade": {"type": "CodeFormerDegradeImage"},
    "compare": {"type": "CodeFormerCompareFaces", "size": [300, 140]},
    "line_up": {
        "type": "CodeFormerCompareRestorers",
        "size": [420, 290],
        "widgets": {"fidelities": "0, 1"},
    },
    "inpaint": {"type": "CodeFormerInpaintFaces", "size": [300, 190]},
    "colorize": {"type": "CodeFormerColorizeFaces", "size": [300, 340]},
    "convert": {"type": "CodeFormerConvertFile"},
    "personalize": {"type": "CodeFormerPersonalize", "size": [320, 200]},
    "apply_person": {"type": "CodeFormerApplyPerson", "size": [320, 180]},
    "clip": {"type": "LoadVideo", "widgets": {"file": "codeformer_clip.mp4"}},
    "restore_video": {"type": "CodeFormerRestoreVideo", "size": [420, 480]},
    "save": {"type": "SaveVideo"},
    "frames": {"type": "GetVideoComponents"},
    "detect_frames": {"type": "CodeFormerDetectFaces"},
    "track": {"type": "CodeFormerTrackFaces", "size": [320, 380]},
    "smooth": {"type": "CodeFormerSmoothFaces"},
    "select_frames": {"type": "CodeFormerSelectFaces"},
    "detect_scratched": {"type": "CodeFormerDetectFaces"},
}
LINKS = """
photo.IMAGE restore_all.image, photo.IMAGE detect.image, detect.faces select.faces,
photo.IMAGE select.image, photo.IMAGE crop.image, select.faces crop.faces, model.model crop.model,
crop.crops restore.crops, model.model restore.model, photo.IMAGE paste.image,
restore.restored paste.crops, select.faces paste.faces, crop.crops encode.crops,
model.model encode.model, encode.codes decode.codes, encode.codes sweep.codes,
encode.codes codes.codes, sharp.IMAGE degrade.image, sharp.IMAGE compare.image,
paste.image compare.other, detect.faces compare.faces, scratched.IMAGE inpaint.image,
scratched.MASK inpaint.mask, scratched.IMAGE detect_scratched.image,
detect_scratched.faces inpaint.faces, clip.VIDEO restore_video.video,
restore_video.video save.video, clip.VIDEO frames.video, frames.images detect_frames.image,
frames.images track.image, photo.IMAGE match.image, sharp.IMAGE match.references,
detect.faces match.faces, sharp.IMAGE personalize.photos,
model.model apply_person.model, detect_frames.faces track.faces, frames.fps track.fps,
track.faces smooth.faces, frames.fps smooth.fps, smooth.faces select_frames.faces,
photo.IMAGE line_up.image, model.model line_up.model, sharp.IMAGE line_up.truth
"""
"""`node.output node.input` of the nodes above."""
NOT_RUN = ("convert", "personalize", "apply_person")
"""Nodes that are shown without a result: they want files, or minutes."""
SHOWN = {
    "crop": "crops",
    "restore": "restored",
    "paste": "image",
    "decode": "restored",
    "codes": "map",
    "degrade": "image",
    "inpaint": "image",
    "line_up": "sheet",
}
"""Outputs that a Preview Image beside the node shows."""
GRAPHS = (
    "fix faces after txt2img",
    "refine faces with a sampler",
    "compare with GFPGAN",
)
"""Workflows that want files which are not shipped; `make_template_pictures.py` runs the others."""
WANTED = (
    "checkpoints/v1-5-pruned-emaonly-fp16.safetensors",
    "facerestore_models/GFPGANv1.4.pth",
    "facerestore_models/my_codeformer.pth",
    "facerestore_adapters/anna.safetensors",
)
"""Model files that the loaders and Convert File list here, without their contents."""


def main(names: list[str]) -> None:
    """Take all pictures, or only the named ones."""
    host, desks = _load("host/real_host.py"), _load("browser/desk.py")
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        base = host.make_base(Path(folder) / "base")
        shutil.copytree(EXAMPLES, base / "input")
        for name in WANTED:
            path = base / "models" / name
            path.parent.mkdir(exist_ok=True)
            path.touch()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        with host.running(host.comfy_folder(), base) as server:
            server.request("/settings", SETTINGS)
            desk = desks.Desk(browser, f"http://{server.address}", Path(folder))
            desk.page.evaluate("app.extensionManager.command.execute('Workspace.ToggleFocusMode')")
            _take_nodes(desk, names)
            for name in GRAPHS:
                if not names or name in names:
                    _take_workflow(desk, name)
            if not names or COMPARISON.stem in names:
                _take_comparison(desk)
            if not names or PICKER.stem in names:
                _take_picker(desk)
        browser.close()


def _load(path: str) -> ModuleType:
    """A module of the tests; they are no package."""
    name = Path(path).stem
    spec = importlib.util.spec_from_file_location(name, ROOT / "tests" / path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _take_nodes(desk: Any, names: list[str]) -> None:
    """Build one graph of all nodes, run it, and take each node with its result."""
    # The first of each kind.
    kinds = {node["type"]: key for key, node in reversed(NODES.items())}
    wanted = [key for kind, key in kinds.items() if kind.startswith("CodeFormer")]
    wanted = [key for key in wanted if not names or NODES[key]["type"] in names]
    if not wanted:
        return
    desk.clear()
    previews = {f"{key} shown": {"type": "PreviewImage", "size": [300, 340]} for key in SHOWN}
    nodes = {**NODES, **previews}
    order = list(nodes)
    # Far from each other: what is taken of one node shows no other.
    entries = [
        {**node, "at": [2000 * (place % 5), 2000 * (place // 5)]}
        for place, node in enumerate(nodes.values())
    ]
    pairs = [pair.split() for pair in LINKS.replace("\n", " ").split(",")]
    pairs += [[f"{key}.{output}", f"{key} shown.images"] for key, output in SHOWN.items()]
    links = []
    for source, target in pairs:
        (start, output), (end, slot) = source.split("."), target.rsplit(".", 1)
        links.append([order.index(start), output, order.index(end), slot])
    ids = dict(zip(order, desk.build(entries, links), strict=True))
    for key in NOT_RUN:
        desk.page.evaluate(MUTE, [ids[key], True])
    desk.run()
    for key in NOT_RUN:
        desk.page.evaluate(MUTE, [ids[key], False])
    desk.page.wait_for_timeout(3000)
    for key in wanted:
        beside = ids.get(f"{key} shown")
        place = [ids[key], beside, MARGIN]
        desk.page.evaluate(PLACE, place)
        desk.page.wait_for_timeout(800)
        box = desk.page.evaluate(PLACE, place)  # it grew when it was drawn
        _save(desk.page.screenshot(clip=box), HELP / f"{NODES[key]['type']}.jpg")


def _take_workflow(desk: Any, name: str) -> None:
    """Open a workflow and take it whole."""
    workflow = json.loads((WORKFLOWS / f"{name}.json").read_text(encoding="utf-8"))
    desk.page.evaluate("(workflow) => app.loadGraphData(workflow)", workflow)
    desk.page.wait_for_timeout(3000)
    box = desk.page.evaluate(FIT, list(THUMBNAIL))
    desk.page.wait_for_timeout(1000)
    _save(desk.page.screenshot(clip=box), WORKFLOWS / f"{name}.jpg", THUMBNAIL)


def _take_comparison(desk: Any) -> None:
    """Restore the old photo, zoom to its face, and take the comparison, half of it before."""
    desk.clear()
    desk.build(
        [
            {**NODES["photo"], "at": [80, 120]},
            {"type": "CodeFormerRestoreImage", "at": [420, 40], "size": [560, 760]},
        ],
        [[0, "IMAGE", 1, "image"]],
    )
    desk.run()
    page, stage = desk.page, desk.page.locator(".codeformer-stage[role=slider]")
    page.locator(".codeformer-number").first.click()
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 0.45 * box["width"], box["y"] + box["height"] / 2)
    page.wait_for_timeout(1000)
    # With the buttons above and below it.
    clip = {**box, "y": box["y"] - BUTTONS, "height": box["height"] + 2 * BUTTONS}
    _save(page.screenshot(clip=clip), COMPARISON)


def _take_picker(desk: Any) -> None:
    """Choose one of two faces, and point at the other."""
    desk.clear()
    _, _, select = desk.build(
        [
            {**NODES["photo"], "at": [80, 120], "widgets": {"image": "codeformer_two_faces.jpg"}},
            {**NODES["detect"], "at": [80, 600]},
            {**NODES["select"], "at": [420, 40], "size": [420, 600]},
        ],
        [[0, "IMAGE", 1, "image"], [1, "faces", 2, "faces"], [0, "IMAGE", 2, "image"]],
    )
    desk.run()
    box = desk.page.evaluate(PLACE, [select, None, 0])
    desk.page.wait_for_timeout(1000)
    desk.page.hover(".codeformer-face[data-number='2']")
    desk.page.wait_for_timeout(500)
    _save(desk.page.screenshot(clip=box), PICKER)


MUTE = "([id, muted]) => { app.graph.getNodeById(id).mode = muted ? 2 : 0; }"
"""Leave a node out of a run."""

PLACE = """([id, beside, margin]) => {
  const node = app.graph.getNodeById(id);
  const other = beside && app.graph.getNodeById(beside);
  const title = LiteGraph.NODE_TITLE_HEIGHT;
  if (other) other.pos = [node.pos[0] + node.size[0] + 40, node.pos[1]];
  const {ds} = app.canvas;
  ds.scale = 1;
  ds.offset = [100 - node.pos[0], 100 - node.pos[1]];
  app.canvas.deselectAll?.();
  app.canvas.setDirty(true, true);
  const width = node.size[0] + (other ? other.size[0] + 40 : 0);
  const height = Math.max(node.size[1], other?.size[1] ?? 0);
  const {left, top} = app.canvas.canvas.getBoundingClientRect();
  return {
    x: left + 100 - margin, y: top + 100 - title - margin,
    width: width + 2 * margin, height: height + title + 2 * margin,
  };
}"""
"""Bring a node and the picture beside it into view; where they are on the page."""

FIT = """([width, height]) => {
  const boxes = [...app.graph.nodes, ...app.graph.groups].map((item) => item.boundingRect);
  const left = Math.min(...boxes.map(([x]) => x)) - 20;
  const top = Math.min(...boxes.map(([, y]) => y)) - 20;
  const right = Math.max(...boxes.map(([x, , w]) => x + w)) + 20;
  const bottom = Math.max(...boxes.map(([, y, , h]) => y + h)) + 20;
  const {ds, canvas} = app.canvas;
  const box = canvas.getBoundingClientRect();
  const [w, h] = [box.width, (box.width * height) / width];
  ds.scale = Math.min(w / (right - left), h / (bottom - top));
  ds.offset = [
    w / ds.scale / 2 - (left + right) / 2,
    h / ds.scale / 2 - (top + bottom) / 2,
  ];
  app.canvas.deselectAll?.();
  app.canvas.setDirty(true, true);
  return {x: box.left, y: box.top, width: w, height: h};
}"""
"""Bring the whole workflow into view; where it is on the page."""


def _save(screenshot: bytes, path: Path, size: tuple[int, int] | None = None) -> None:
    picture = Image.open(io.BytesIO(screenshot)).convert("RGB")
    if size is not None:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    picture.save(path, quality=QUALITY, optimize=True)
    print(path.name, picture.size, path.stat().st_size)


if __name__ == "__main__":
    main(sys.argv[1:])
