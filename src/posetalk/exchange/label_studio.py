"""Label Studio's tasks: a rectangle a person, keypoints that have it as their parent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree

import msgspec

from posetalk.errors import PosetalkError
from posetalk.exchange.label_studio_interface import HIDDEN, Interface
from posetalk.exchange.labels import LabelSet, Records, size_of
from posetalk.formats.files import decode_file, decode_record, record_id
from posetalk.formats.names import our_name, skeleton_named
from posetalk.formats.paths import find_image
from posetalk.skeleton import BUILT_IN, Skeleton, load_skeleton
from posetalk.types import Person

TASKS, CONFIG = "tasks.json", "label_config.xml"
LOCAL_FILES = "/data/local-files/?d="  # what Label Studio serves a mounted folder under
POINT_WIDTH = 0.5  # % of the image's width, how large a keypoint is drawn
DEFAULT = Interface()
_UPLOADED = re.compile(r"^[0-9a-f]{8}-(.+)$")  # Label Studio puts 8 digits before names of uploaded files


class _LabelStudioRegion(msgspec.Struct):
    type: str = ""
    id: str = ""
    parentID: str | None = None
    value: dict[str, Any] = {}
    original_width: int | None = None
    original_height: int | None = None
    image_rotation: float = 0
    score: float | None = None


class _LabelStudioAnswer(msgspec.Struct):
    result: list[msgspec.Raw] = []
    was_cancelled: bool = False


class _LabelStudioTask(msgspec.Struct):
    data: dict[str, Any]
    id: Any = None
    annotations: list[_LabelStudioAnswer] = []
    predictions: list[_LabelStudioAnswer] = []


def read(path: Path, images: Path, skeleton: Skeleton | None = None) -> LabelSet:
    """Read exported tasks (JSON): of each the last annotation that was not cancelled, else the first prediction.

    Args:
        path: The file, or a folder with tasks.json. A label_config.xml beside it gives the keypoints' order.
        images: The folder of the images, for the names of uploaded files.
        skeleton: Whose keypoints these are; by default those of label_config.xml, else of the first built-in skeleton
            that has all the labels.
    """
    path = path / TASKS if path.is_dir() else path
    raws = decode_file(path, list[msgspec.Raw], "Label Studio's list of tasks")
    tasks: list[tuple[str, _LabelStudioTask]] = []
    skipped: list[str] = []
    regions: dict[int, list[_LabelStudioRegion]] = {}
    decoders = msgspec.json.Decoder(_LabelStudioTask), msgspec.json.Decoder(_LabelStudioRegion)
    for number, raw in enumerate(raws, 1):
        place = f"{path}: task {record_id(raw, number)}"
        try:
            task = decode_record(decoders[0], raw)
            regions[len(tasks)] = [decode_record(decoders[1], region) for region in _regions(task)]
        except PosetalkError as error:
            skipped.append(f"{place}: {error}")
            continue
        tasks.append((place, task))
    if skeleton is None:
        labels = [_label(r, "keypointlabels") for found in regions.values() for r in found]
        skeleton = _skeleton(path.with_name(CONFIG), [label for label in labels if label])
    records = Records(path, images, skeleton, skipped)
    for index, (place, task) in enumerate(tasks):
        try:
            _add_task(records, task, regions[index], place)
        except PosetalkError as error:
            skipped.append(f"{place}: {error}")
    return records.labels()


def _regions(task: _LabelStudioTask) -> list[msgspec.Raw]:
    done = [annotation.result for annotation in task.annotations if not annotation.was_cancelled]
    return done[-1] if done else task.predictions[0].result if task.predictions else []


def _label(region: _LabelStudioRegion, kind: Literal["keypointlabels", "rectanglelabels"]) -> str | None:
    labels = region.value.get(kind) if region.type == kind else None
    return str(labels[0]) if isinstance(labels, list) and labels else None


def _skeleton(config: Path, labels: list[str]) -> Skeleton:
    if config.is_file():
        try:
            tree = ElementTree.fromstring(config.read_bytes())
        except ElementTree.ParseError as error:
            raise PosetalkError(f"{config} is not XML: {error}") from None
        if names := [str(label.get("value")) for tag in tree.iter("KeyPointLabels") for label in tag]:
            return skeleton_named(names)
    used = {our_name(label) for label in labels}
    for skeleton in map(load_skeleton, BUILT_IN):
        if used <= set(skeleton.names):
            return skeleton
    return skeleton_named(list(dict.fromkeys(labels)))


def _add_task(
    records: Records, task: _LabelStudioTask, regions: list[_LabelStudioRegion], place: str
) -> None:
    name = _name(task, records.images)
    if any(region.image_rotation or region.value.get("rotation") for region in regions):
        raise PosetalkError("its image or a rectangle is turned, which is not read; turn it back")
    own = task.data.get("width"), task.data.get("height")  # as `write` gives them, for images without anybody
    size = (own[0], own[1]) if type(own[0]) is int and type(own[1]) is int else None
    size = next(
        ((r.original_width, r.original_height) for r in regions if r.original_width and r.original_height),
        size,
    )
    records.add_image(name, size, int(str(task.id)) if str(task.id).isdigit() else None)
    if not size:
        return
    hidden = {
        region.id
        for region in regions
        if region.type == "choices" and HIDDEN in (region.value.get("choices") or ())
    }
    people = {r.id: r for r in regions if _label(r, "rectanglelabels")}
    points: dict[str | None, dict[str, tuple[float, float, int, float | None]]] = {key: {} for key in people}
    for region in regions:
        if (label := _label(region, "keypointlabels")) is None:
            continue
        x, y = _percent(region, "x") * size[0] / 100, _percent(region, "y") * size[1] / 100
        owner = region.parentID if region.parentID in people else _around(people, region)
        flag = 1 if region.id in hidden else 2
        points.setdefault(owner, {})[our_name(label)] = (x, y, flag, region.score)
    names = [our_name(name) for name in records.skeleton.names]
    for owner, found in points.items():
        if unknown := sorted(set(found) - set(names)):
            records.skipped.append(
                f"{place}: {records.skeleton.name} has no keypoint {unknown[0]!r}; it is left out"
            )
        rows = [found.get(name, (0.0, 0.0, 0, None)) for name in names]
        scores = [0.0 if score is None else score for *_, score in rows]
        person = people.get(str(owner))
        number = re.fullmatch(r"person-(\d+)", str(owner))
        records.add_person(
            name,
            [row[:3] for row in rows],
            None if person is None else _box(person, size),
            id=int(number[1]) if number else None,
            score=None if person is None else person.score,
            keypoint_scores=scores if any(row[3] is not None for row in rows) else None,
        )


def _percent(region: _LabelStudioRegion, key: str) -> float:
    value = region.value.get(key)
    if not isinstance(value, int | float):
        raise PosetalkError(f"its region {region.id} has no number {key}")
    return float(value)


def _box(region: _LabelStudioRegion, size: tuple[int, int]) -> list[float]:
    return [
        _percent(region, key) * side / 100
        for key, side in zip(("x", "y", "width", "height"), size * 2, strict=True)
    ]


def _around(people: dict[str, _LabelStudioRegion], point: _LabelStudioRegion) -> str | None:
    """The smallest rectangle around a keypoint without a parent."""
    x, y = _percent(point, "x"), _percent(point, "y")
    boxes = {key: _box(region, (100, 100)) for key, region in people.items()}
    around = [
        (w * h, key)
        for key, (left, top, w, h) in boxes.items()
        if left <= x <= left + w and top <= y <= top + h
    ]
    return min(around)[1] if around else None


def _name(task: _LabelStudioTask, images: Path) -> str:
    """The image's file name: the path that Label Studio serves, or the name that a file had before its upload."""
    values = [task.data.get("image"), *task.data.values()]
    url = next((value for value in values if isinstance(value, str)), None)
    if not url:
        raise PosetalkError("its data names no image")
    parts = urlsplit(url)
    if served := parse_qs(parts.query).get("d"):
        return served[0]
    if not parts.scheme and not parts.path.startswith("/"):
        return unquote(parts.path)
    name = PurePosixPath(unquote(parts.path)).name
    uploaded = _UPLOADED.match(name)
    return uploaded[1] if uploaded and find_image(images, name) is None else name


def write(labels: LabelSet, folder: Path) -> None:
    """Write tasks.json and label_config.xml, the labelling interface, into a folder.

    People with scores become predictions, others annotations. A hidden keypoint has the choice `hidden`.
    """
    tasks = []
    for image in labels.data.images:
        size = size_of(image)
        result = [
            region for person in image.people for region in regions_of(person, labels.skeleton.names, size)
        ]
        predicted = any(person.scores is not None for person in image.people)
        answer: dict[str, Any] = {"result": result}
        if predicted:
            scores = [person.score for person in image.people if person.score is not None]
            answer |= {"model_version": "posetalk"} | ({"score": min(scores)} if scores else {})
        data = {"image": f"{LOCAL_FILES}{image.name}", "width": size[0], "height": size[1]}
        tasks.append({"id": image.id, "data": data, "predictions" if predicted else "annotations": [answer]})
    (folder / TASKS).write_bytes(msgspec.json.encode(tasks))
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image")
    boxes = ElementTree.SubElement(view, "RectangleLabels", name="box", toName="image")
    ElementTree.SubElement(boxes, "Label", value="person")
    keypoints = ElementTree.SubElement(view, "KeyPointLabels", name="keypoint", toName="image")
    for index, name in enumerate(labels.skeleton.names):  # in this order Label Studio exports them
        ElementTree.SubElement(keypoints, "Label", value=name, model_index=str(index))
    seen = ElementTree.SubElement(view, "Choices", name="visibility", toName="image", perRegion="true")
    ElementTree.SubElement(seen, "Choice", value=HIDDEN)
    ElementTree.indent(view)
    (folder / CONFIG).write_bytes(ElementTree.tostring(view, encoding="utf-8"))


def regions_of(
    person: Person, names: Sequence[str], size: tuple[int, int], interface: Interface = DEFAULT
) -> list[dict[str, Any]]:
    """A person as regions of a labelling interface: a rectangle, and keypoints that have it as their parent.

    Args:
        person: The person. Scores become the regions' scores.
        names: The labels of the keypoints, in order.
        size: Width and height of the image in px.
        interface: The tags that the regions are of.
    """
    width, height = size
    common = {
        "to_name": interface.image,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
    }
    identity = f"person-{person.id}"
    regions: list[dict[str, Any]] = []
    if interface.boxes is not None:
        x, y, w, h = person.box.xywh
        place = {
            "x": 100 * x / width,
            "y": 100 * y / height,
            "width": 100 * w / width,
            "height": 100 * h / height,
        }
        value: dict[str, Any] = place | {"rotation": 0, "rectanglelabels": [interface.person]}
        box = {"id": identity, "type": "rectanglelabels", "from_name": interface.boxes, "value": value}
        regions.append(common | box | ({} if person.score is None else {"score": person.score}))
    for index, name in enumerate(names):
        if not person.visible[index]:
            continue
        x, y = person.keypoints[index].tolist()
        value = {"x": 100 * x / width, "y": 100 * y / height, "width": POINT_WIDTH}
        region = common | {"id": f"{identity}-{index}"}
        if interface.boxes is not None:
            region["parentID"] = identity
        point = region | {
            "type": "keypointlabels",
            "from_name": interface.keypoints,
            "value": value | {"keypointlabels": [name]},
        }
        regions.append(point if person.scores is None else point | {"score": float(person.scores[index])})
        if person.visible[index] == 1 and interface.visibility is not None:
            choice = {
                "type": "choices",
                "from_name": interface.visibility,
                "value": value | {"choices": [HIDDEN]},
            }
            regions.append(region | choice)
    return regions
