"""Lies in the private part of a course folder: hidden test cells import it from there."""

from pathlib import Path

from grading.hidden_tests import tests_of

symptom = tests_of(Path(__file__).resolve().parent)
