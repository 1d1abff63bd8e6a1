"""The command line: ``fastml train``, ``fastml bench`` and ``fastml info``."""
