"""The tiny LLaVA of the tests of tuning answers here too."""

from tests.tune.conftest import llava

__all__ = ["llava"]
