"""Films loop, stay small, and carry a still and words."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from vae_helpers import films


def _draw(figure, t):
    ax = figure.add_subplot()
    ax.plot([0, 1], [0, t])
    ax.set(xlim=(0, 1), ylim=(0, 1))


def test_a_film_has_its_frames_a_still_and_words():
    film = films.show(_draw, "A line\nrises.", frames=5, width=2, height=1.5, still=0)
    with Image.open(io.BytesIO(film.data)) as movie:
        assert movie.format == "WEBP" and movie.n_frames == 5
        assert movie.info["loop"] == 0 and movie.size == (300, 225)
        first = np.asarray(movie.convert("RGB"), float)
    with Image.open(io.BytesIO(film.still)) as still:
        kept = np.asarray(still.convert("RGB"), float)
    assert np.abs(kept - first).mean() < 3, "the still is the frame that was asked for"
    assert film.words == "A line rises." and film.width == 200
    data, about = film._repr_mimebundle_()
    assert 'alt="A line rises."' in data["text/html"]
    assert "prefers-reduced-motion" in data["text/html"]
    assert base64.b64decode(data["image/png"]) == film.still
    assert about["image/png"]["alt"] == "A line rises."


def test_a_film_can_be_played_back():
    film = films.show(_draw, "A line rises.", frames=4, width=1, height=1, back=True)
    with Image.open(io.BytesIO(film.data)) as movie:
        assert movie.n_frames == 6


def test_a_film_without_frames_or_words_is_refused():
    with pytest.raises(ValueError, match="2 frames or more and words, got 1"):
        films.show(_draw, "A line.", frames=1)
    with pytest.raises(ValueError, match="words"):
        films.show(_draw, "")


def test_a_film_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(films, "LIMIT", 100)
    with pytest.raises(ValueError, match="take fewer frames"):
        films.show(_draw, "A line.", frames=2, width=1, height=1)
