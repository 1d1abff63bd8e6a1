"""What pytest leaves alone: the examples are programs, which test_examples.py runs."""

collect_ignore_glob = ["examples/*"]
