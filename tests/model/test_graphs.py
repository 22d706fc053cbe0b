"""Sessions of ONNX Runtime: made in threads, begun early, given once."""

from __future__ import annotations

from pathlib import Path

import pytest

from posetalk.model.graphs import GRAPHS, begun_sessions, graphs_of, has_graphs, sessions
from posetalk.resources import BUNDLED, BUNDLED_DETECTOR


def test_a_session_that_was_begun_is_given_once() -> None:
    (graph,) = [graph for graph in graphs_of(BUNDLED) if graph.name == "point.onnx"]
    with begun_sessions([graph]):
        (first,), (second,) = sessions([graph]), sessions([graph])
        assert first is not second and first.result() is not second.result()
    with begun_sessions([graph]):
        pass
    (later,) = sessions([graph])
    assert later.result().get_inputs()[0].name == "layers"


def test_those_of_other_threads_are_others() -> None:
    with begun_sessions([BUNDLED_DETECTOR], 2):
        (one,) = sessions([BUNDLED_DETECTOR], 1)
        assert one.result().get_session_options().intra_op_num_threads == 1
        (two,) = sessions([BUNDLED_DETECTOR], 2)
        assert two.result().get_session_options().intra_op_num_threads == 2


def test_a_damaged_file_is_told_to_who_asks_for_it(tmp_path: Path) -> None:
    file = tmp_path / "point.onnx"
    file.write_bytes(b"no graph")
    with begun_sessions([file]):
        (made,) = sessions([file])
        with pytest.raises(Exception, match=r"point\.onnx"):
            made.result()
    assert not has_graphs(tmp_path)
    assert sessions([]) == []
    assert has_graphs(BUNDLED) and [graph.name for graph in graphs_of(BUNDLED)] == list(GRAPHS)
