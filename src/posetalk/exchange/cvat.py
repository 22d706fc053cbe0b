"""CVAT for images 1.1: XML with a skeleton a person, and a box in the same group."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from posetalk.errors import PosetalkError
from posetalk.exchange.labels import LabelSet, Records, size_of
from posetalk.formats.files import read_bytes
from posetalk.formats.names import our_name, skeleton_named
from posetalk.skeleton import Skeleton

PERSON, BOX = "person", "person box"  # labels; two of a task cannot have the same name


def read(path: Path, images: Path, skeleton: Skeleton | None = None) -> LabelSet:
    """Read annotations.xml of a task of images. The form has no ids of people, and says nothing of scores.

    An element that is `outside` is not labelled, one that is `occluded` is hidden.
    """
    root = _root(path)
    if skeleton is None:
        names = _sublabels(root) or _elements(root)
        if not names:
            raise PosetalkError(f"{path} holds no skeletons; label people with a skeleton in CVAT")
        skeleton = skeleton_named(names)
    records = Records(path, images, skeleton)
    for number, image in enumerate(root.iter("image"), 1):
        place = f"{path}: image {image.get('id', f'number {number}')}"
        try:
            name = image.get("name") or ""
            size = (int(_number(image, "width")), int(_number(image, "height")))
            identity = image.get("id", "")
            records.add_image(name, size, int(identity) if identity.isdigit() else None)
        except PosetalkError as error:
            records.skipped.append(f"{place}: {error}")
            continue
        boxes = {box.get("group_id"): box for box in image.iter("box") if box.get("group_id")}
        for place_in_image, person in enumerate(image.iter("skeleton"), 1):
            try:
                points = _points(person, skeleton)
                box = boxes.get(person.get("group_id"))
                records.add_person(name, points, None if box is None else _box(box))
            except PosetalkError as error:
                records.skipped.append(f"{place}, skeleton {place_in_image}: {error}")
    return records.labels()


def _root(path: Path) -> ElementTree.Element:
    data = read_bytes(path)
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise PosetalkError(f"{path} has a DOCTYPE, which CVAT never writes; export the task again")
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, RecursionError) as error:
        raise PosetalkError(f"{path} is not whole XML ({error}); export the task again") from None
    if root.tag != "annotations" or root.find("track") is not None:
        raise PosetalkError(f"{path} is not 'CVAT for images 1.1'; choose that form when you export the task")
    return root


def _sublabels(root: ElementTree.Element) -> list[str]:
    """The points of the first label that is a skeleton, in the order of the task."""
    labels = list(root.iter("label"))
    parents = [label.findtext("name") for label in labels if label.findtext("type") == "skeleton"]
    return [
        label.findtext("name") or "" for label in labels if parents and label.findtext("parent") == parents[0]
    ]


def _elements(root: ElementTree.Element) -> list[str]:
    """The points of all skeletons in the order in which they occur."""
    points = (point for person in root.iter("skeleton") for point in person.iter("points"))
    return list(dict.fromkeys(point.get("label") or "" for point in points))


def _points(person: ElementTree.Element, skeleton: Skeleton) -> list[tuple[float, float, int]]:
    index = {our_name(name): i for i, name in enumerate(skeleton.names)}
    points = [(0.0, 0.0, 0)] * len(skeleton)
    for element in person.iter("points"):
        label = our_name(element.get("label") or "")
        if label not in index:
            raise PosetalkError(f"{skeleton.name} has no keypoint {label!r}; give the skeleton of this task")
        if element.get("outside") == "1":
            continue
        try:
            x, y = (float(number) for number in (element.get("points") or "").split(","))
        except ValueError:
            raise PosetalkError(f"the points of {label!r} are {element.get('points')!r}, not x,y") from None
        points[index[label]] = (x, y, 1 if element.get("occluded") == "1" else 2)
    return points


def _number(element: ElementTree.Element, key: str) -> float:
    try:
        return float(element.get(key) or "")
    except ValueError:
        raise PosetalkError(f"its {key} is {element.get(key)!r}, not a number") from None


def _box(element: ElementTree.Element) -> tuple[float, float, float, float]:
    left, top, right, bottom = (_number(element, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    return left, top, right - left, bottom - top


def write(labels: LabelSet, path: Path) -> None:
    """Write annotations.xml. CVAT finds an image by its name, and the labels are to be in the task already."""
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    described = ElementTree.SubElement(task, "labels")
    _label(described, PERSON, "skeleton")
    _label(described, BOX, "rectangle")
    for name in labels.skeleton.names:
        _label(described, name, "points", PERSON)
    for number, image in enumerate(labels.data.images):
        width, height = size_of(image)
        # CVAT's own order: the number of the image in the task
        size = {"width": str(width), "height": str(height)}
        element = ElementTree.SubElement(root, "image", {"id": str(number), "name": image.name} | size)
        for group, person in enumerate(image.people, 1):
            common = {"source": "manual", "z_order": "0", "group_id": str(group)}
            skeleton = ElementTree.SubElement(element, "skeleton", {"label": PERSON} | common)
            for name, (x, y), flag in zip(
                labels.skeleton.names, person.keypoints.tolist(), person.visible.tolist(), strict=True
            ):
                state = {"outside": str(int(flag == 0)), "occluded": str(int(flag == 1))}
                point = {"label": name, "source": "manual", "points": f"{x:.2f},{y:.2f}"}
                ElementTree.SubElement(skeleton, "points", point | state)
            left, top, right, bottom = (f"{value:.2f}" for value in person.box.xyxy)
            corners = {"xtl": left, "ytl": top, "xbr": right, "ybr": bottom}
            ElementTree.SubElement(element, "box", {"label": BOX, "occluded": "0"} | common | corners)
    ElementTree.indent(root)
    path.write_bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _label(parent: ElementTree.Element, name: str, kind: str, of: str | None = None) -> None:
    label = ElementTree.SubElement(parent, "label")
    ElementTree.SubElement(label, "name").text = name
    ElementTree.SubElement(label, "type").text = kind
    ElementTree.SubElement(label, "attributes")
    if of:
        ElementTree.SubElement(label, "parent").text = of
