"""What every test has."""

import torch

# Fixtures that the tests of more than one file use; they are defined in tests/support.
pytest_plugins = ("made_up_results", "methods_samples", "report_samples")

# The networks of these tests are so small that a second thread only waits for the first.
torch.set_num_threads(1)
