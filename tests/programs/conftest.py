"""The programs here are run by tests of their own, and not imported to look for examples."""

collect_ignore_glob = ["*.py"]
