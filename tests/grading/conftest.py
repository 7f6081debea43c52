import classroom
import pytest


@pytest.fixture(scope="session")
def example():
    """Lesson 03 with the example overlay: source, facts, release."""
    return classroom.example()
