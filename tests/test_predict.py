"""Guesses and truths: noted, compared, never judged without a guess."""

import pytest
import torch

from vae_helpers import predict


@pytest.fixture(autouse=True)
def nothing_asked(monkeypatch):
    monkeypatch.setattr(predict, "_made", {})


def test_a_number_is_noted_and_compared():
    assert "in place of None" in repr(predict.guess("share", None, unit="%"))
    assert repr(predict.guess("share", 50, unit="%")) == "Noted: 50 %. Read on."
    shown = predict.truth("share", torch.tensor(34.2))
    assert repr(shown) == "share: you said 50 %, it is 34.2 % (15.8 % too high)."
    page = shown._repr_html_()
    assert "<svg" in page and "aria-label" in page and "your guess" in page


def test_a_near_guess_is_said_to_be_near():
    predict.guess("rate", 24, unit="nats")
    assert "24 nats, it is 25 nats (within a tenth)" in repr(predict.truth("rate", 25))
    predict.guess("change", -3)
    assert "too low" in repr(predict.truth("change", -1))


def test_without_a_guess_nothing_is_judged():
    predict.guess("rate", None, unit="nats")
    shown = predict.truth("rate", 25.0)
    assert repr(shown) == "rate: it is 25 nats; you made no guess."
    assert "<svg" not in shown._repr_html_()


def test_a_choice():
    who = ("autoencoder", "VAE")
    assert "one of" in repr(predict.guess("who", None, choices=who))
    predict.guess("who", "VAE", choices=who)
    assert "not what you said" in repr(predict.truth("who", "autoencoder"))
    assert "as you said" in repr(predict.truth("who", "VAE"))
    with pytest.raises(ValueError, match="none of the choices"):
        predict.guess("who", "GAN", choices=who)


@pytest.mark.parametrize("odd", ["12", float("nan"), float("inf"), True, [1], object()])
def test_what_is_no_number_is_named(odd):
    with pytest.raises(ValueError, match="a number was expected"):
        predict.guess("share", odd)


def test_a_truth_without_a_question():
    with pytest.raises(ValueError, match="run the cell with predict.guess"):
        predict.truth("share", 3)


def test_the_review_has_every_guess_in_order():
    predict.guess("b", 1, unit="nats")
    predict.guess("a", None, unit="%")
    predict.guess("c <d>", "x", choices=("x", "y"))
    predict.truth("b", 2)
    predict.truth("c <d>", "x")
    rows = predict.review().rows
    assert [row[:3] for row in rows] == [
        ("b", "1 nats", "2 nats"),
        ("a", "–", "–"),
        ("c <d>", "x", "x"),
    ]
    assert "<d>" not in predict.review()._repr_html_()
    assert "b: you 1 nats, measured 2 nats" in repr(predict.review())


def test_a_panel_keeps_the_guess_of_its_time():
    predict.guess("share", 1)
    shown = predict.truth("share", 2)
    predict.guess("share", 2)
    assert "you said 1" in repr(shown)


def test_a_review_of_nothing():
    assert "none in this lesson" in repr(predict.review())
