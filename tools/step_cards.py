"""Writes the cards of the compiled step's kernels (fastml/step/cards.py) into docs/step.md.

    python tools/step_cards.py

tests/test_docs.py compares the page with what this would write.
"""

from pathlib import Path

from fastml.step.cards import cards

PAGE = Path(__file__).resolve().parent.parent / "docs" / "step.md"


def page():
    """docs/step.md with the cards as they are: all behind the heading's paragraph."""
    before, after = PAGE.read_text(encoding="utf-8").split("## The cards\n\n")
    introduction, _ = after.split("\n\n", 1)
    return f"{before}## The cards\n\n{introduction}\n\n{cards().rstrip()}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
