"""Names of cells: nbgrader's for each cell, and the exercise that is in it."""

from nbformat import NotebookNode

MARK = "vae-course"  # key of a verdict in the metadata of an output


def name_of(cell: NotebookNode) -> str:
    """nbgrader's name of a cell, or ""."""
    found = cell.get("metadata", {}).get("nbgrader", {})
    return str(found.get("grade_id", "")) if isinstance(found, dict) else ""


def number_of(name: str) -> str:
    """ "check-03-1" and "hidden-03-1-0" -> "03.1"; "" for set-up cells."""
    parts = name.split("-")
    return ".".join(parts[1:3]) if len(parts) > 2 else ""


def number_key(number: str) -> str:
    """The number of an exercise as it stands in the name of a cell: "03.1" -> "03-1"."""
    return number.replace(".", "-")
