import pytest


@pytest.fixture(scope="session")
def example():
    """Lesson 03 with the example overlay: source, facts, release."""
    import classroom  # needs torch, which many tests here do not

    return classroom.example()
