"""Human pose and language, both ways.

Words to points: `Detector` finds the people in an image, `Localizer` their described keypoints, `locate_images` does
both for many images; `train_model`, `evaluate_model`, `calibrate` and `convert` make and measure the models behind it,
`plan_run` counts what a run needs.

Points to words: `pose_facts` and `scene_facts` say what is true of poses, `check_text` holds a text against them,
`write_dataset`, `screen_dataset` and `export_dataset` make data to learn from, `tune_model` and `Chat` a model that
learned it, `build_benchmark`, `answer_benchmark`, `judge_benchmark` and `report_benchmark` test what a model
understands, `push_to_hub` shares models and data sets.

Coordinates are xy in pixels of the full image, origin top left. Bad input raises `PosetalkError`, whose text says what
is wrong, where, and what to do. Each name is loaded when it is first used; one whose extra is not installed names it.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from posetalk.bench.answers.judge_run import judge_benchmark
    from posetalk.bench.answers.run import answer_benchmark
    from posetalk.bench.questions.run import build_benchmark
    from posetalk.bench.questions.source import BuildSettings
    from posetalk.bench.report.report import BenchReport
    from posetalk.bench.report.run import report_benchmark
    from posetalk.detect.detector import Detector
    from posetalk.detect.people import People
    from posetalk.draw import draw_pose
    from posetalk.errors import PosetalkError
    from posetalk.export.run import export_onnx
    from posetalk.facts.claims import Claim, check_claim, check_text, find_claims
    from posetalk.facts.fact import Fact, Facts
    from posetalk.facts.person import pose_facts
    from posetalk.facts.scene import Scene, ScenePerson, scene_facts
    from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
    from posetalk.formats.captions import read_captions
    from posetalk.formats.dataset import read_people
    from posetalk.formats.detections import read_boxes
    from posetalk.formats.objects import read_objects
    from posetalk.hub.push import push_to_hub
    from posetalk.images.opening import read_image
    from posetalk.llm.client import ServerSettings
    from posetalk.llm.pricing import Price
    from posetalk.llm.request_state import RunReport
    from posetalk.locate.found import Found
    from posetalk.locate.localizer import Localizer
    from posetalk.locate.predictions import Prediction, read_predictions, write_results
    from posetalk.locate.run import LocatedImages, locate_images
    from posetalk.locate.track.people import TrackedFrame
    from posetalk.locate.track.run import LocatedVideo, locate_video
    from posetalk.messages import show_progress
    from posetalk.model.convert import convert
    from posetalk.plan.memory import MemoryPlan
    from posetalk.plan.run import JobPlan, RunPlan, plan_run
    from posetalk.score.calibrate import CalibrationResult, calibrate
    from posetalk.score.evaluate import evaluate
    from posetalk.score.report import EvaluationReport
    from posetalk.score.run import evaluate_model
    from posetalk.settings import (
        AugmentSettings,
        CropSettings,
        DataSettings,
        EvaluateSettings,
        LocateSettings,
        LoraSettings,
        ModelSettings,
        TrainSettings,
    )
    from posetalk.skeleton import Keypoint, Skeleton, load_skeleton, parse_keypoints
    from posetalk.train.run import train_model
    from posetalk.tune.chat import Chat
    from posetalk.tune.run import tune_model
    from posetalk.tune.settings import TuneSettings
    from posetalk.types import Box, Person, PoseImage, Poses, PoseSet
    from posetalk.write.folder import ScreeningResult
    from posetalk.write.run import write_dataset
    from posetalk.write.samples.export import ExportResult, export_dataset
    from posetalk.write.samples.sample import Sample, read_samples
    from posetalk.write.screening.run import screen_dataset
    from posetalk.write.settings import WriteSettings

# ONNX Runtime (1.32 does) tells its maker what it runs, and keeps an id of the machine in the home, unless this is set
# before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

_HOMES = {
    "AnnotatedImage": "formats.annotated",
    "AnnotatedImages": "formats.annotated",
    "AugmentSettings": "settings",
    "BenchReport": "bench.report.report",
    "Box": "types",
    "BuildSettings": "bench.questions.source",
    "CalibrationResult": "score.calibrate",
    "Chat": "tune.chat",
    "Claim": "facts.claims",
    "CropSettings": "settings",
    "DataSettings": "settings",
    "Detector": "detect.detector",
    "EvaluateSettings": "settings",
    "EvaluationReport": "score.report",
    "ExportResult": "write.samples.export",
    "Fact": "facts.fact",
    "Facts": "facts.fact",
    "Found": "locate.found",
    "JobPlan": "plan.run",
    "Keypoint": "skeleton",
    "Localizer": "locate.localizer",
    "LocateSettings": "settings",
    "LocatedImages": "locate.run",
    "LocatedVideo": "locate.track.run",
    "LoraSettings": "settings",
    "MemoryPlan": "plan.memory",
    "ModelSettings": "settings",
    "People": "detect.people",
    "Person": "types",
    "PoseImage": "types",
    "PoseSet": "types",
    "Poses": "types",
    "PosetalkError": "errors",
    "Prediction": "locate.predictions",
    "Price": "llm.pricing",
    "RunPlan": "plan.run",
    "RunReport": "llm.request_state",
    "Sample": "write.samples.sample",
    "Scene": "facts.scene",
    "ScenePerson": "facts.scene",
    "ScreeningResult": "write.folder",
    "ServerSettings": "llm.client",
    "Skeleton": "skeleton",
    "TrackedFrame": "locate.track.people",
    "TrainSettings": "settings",
    "TuneSettings": "tune.settings",
    "WriteSettings": "write.settings",
    "answer_benchmark": "bench.answers.run",
    "build_benchmark": "bench.questions.run",
    "calibrate": "score.calibrate",
    "check_claim": "facts.claims",
    "check_text": "facts.claims",
    "convert": "model.convert",
    "draw_pose": "draw",
    "evaluate": "score.evaluate",
    "evaluate_model": "score.run",
    "export_dataset": "write.samples.export",
    "export_onnx": "export.run",
    "find_claims": "facts.claims",
    "judge_benchmark": "bench.answers.judge_run",
    "load_skeleton": "skeleton",
    "locate_images": "locate.run",
    "locate_video": "locate.track.run",
    "parse_keypoints": "skeleton",
    "plan_run": "plan.run",
    "pose_facts": "facts.person",
    "push_to_hub": "hub.push",
    "read_boxes": "formats.detections",
    "read_captions": "formats.captions",
    "read_image": "images.opening",
    "read_objects": "formats.objects",
    "read_people": "formats.dataset",
    "read_predictions": "locate.predictions",
    "read_samples": "write.samples.sample",
    "report_benchmark": "bench.report.run",
    "scene_facts": "facts.scene",
    "screen_dataset": "write.screening.run",
    "show_progress": "messages",
    "train_model": "train.run",
    "tune_model": "tune.run",
    "write_dataset": "write.run",
    "write_results": "locate.predictions",
}

# Names that need more than the extra that brings the first missing package.
_EXTRAS = {
    **dict.fromkeys(("Chat", "JobPlan", "MemoryPlan", "RunPlan", "plan_run", "tune_model"), "tune"),
    "train_model": "train",
    "export_onnx": "onnx",
}

__all__ = [
    "AnnotatedImage",
    "AnnotatedImages",
    "AugmentSettings",
    "BenchReport",
    "Box",
    "BuildSettings",
    "CalibrationResult",
    "Chat",
    "Claim",
    "CropSettings",
    "DataSettings",
    "Detector",
    "EvaluateSettings",
    "EvaluationReport",
    "ExportResult",
    "Fact",
    "Facts",
    "Found",
    "JobPlan",
    "Keypoint",
    "Localizer",
    "LocateSettings",
    "LocatedImages",
    "LocatedVideo",
    "LoraSettings",
    "MemoryPlan",
    "ModelSettings",
    "People",
    "Person",
    "PoseImage",
    "PoseSet",
    "Poses",
    "PosetalkError",
    "Prediction",
    "Price",
    "RunPlan",
    "RunReport",
    "Sample",
    "Scene",
    "ScenePerson",
    "ScreeningResult",
    "ServerSettings",
    "Skeleton",
    "TrackedFrame",
    "TrainSettings",
    "TuneSettings",
    "WriteSettings",
    "answer_benchmark",
    "build_benchmark",
    "calibrate",
    "check_claim",
    "check_text",
    "convert",
    "draw_pose",
    "evaluate",
    "evaluate_model",
    "export_dataset",
    "export_onnx",
    "find_claims",
    "judge_benchmark",
    "load_skeleton",
    "locate_images",
    "locate_video",
    "parse_keypoints",
    "plan_run",
    "pose_facts",
    "push_to_hub",
    "read_boxes",
    "read_captions",
    "read_image",
    "read_objects",
    "read_people",
    "read_predictions",
    "read_samples",
    "report_benchmark",
    "scene_facts",
    "screen_dataset",
    "show_progress",
    "train_model",
    "tune_model",
    "write_dataset",
    "write_results",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'posetalk' has no attribute {name!r}")
    try:
        home = import_module(f"posetalk.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        from posetalk.errors import missing_package

        raise (missing_package(error, _EXTRAS.get(name)) or error) from None
    return getattr(home, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
