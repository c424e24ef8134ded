"""What every test has."""

import torch
from hypothesis import HealthCheck, settings

# Fixtures that the tests of more than one file use; they are defined in tests/support.
pytest_plugins = ("command", "made_up_results", "methods_samples", "report_samples")

# The networks of these tests are so small that a second thread only waits for the first.
torch.set_num_threads(1)

# Timings are no defects: a busy machine must not fail a test.
settings.register_profile("any-speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-speed")
