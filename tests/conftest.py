"""What every test has."""

import os

import pytest
import torch
from hypothesis import HealthCheck, settings

# Fixtures that the tests of more than one file use; they are defined in tests/support.
pytest_plugins = (
    "browsing",
    "command",
    "made_up_results",
    "methods_samples",
    "report_samples",
    "small_run",
)

# Complete programs, which tests of their own run: not to be imported in search of examples.
collect_ignore_glob = ["programs/*"]

# The networks of these tests are so small that a second thread only waits for the first.
torch.set_num_threads(1)

# Timings are no defects: a busy machine must not fail a test.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples every time: what is green stays green until somebody changes something.
settings.register_profile(
    "repeat", parent=settings.get_profile("explore"), derandomize=True, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin every test, whatever ran before it, with the same state of the global generator.

    Nothing else seeds with this number, so a test still notices code that seeds.
    """
    torch.default_generator.manual_seed(1803_03635)
