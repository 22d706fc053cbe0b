"""The label files of the tests of the commands are here too."""

from tests.write.test_run import words

__all__ = ["words"]
