"""Slides and sheets from the lessons.

source  a lesson as what can be shown of it: figures, drawings, formulas, questions
plan    instructor/slides/NN.toml: which of them, in which order, with the words of the speaker
words   Markdown with formulas to HTML that needs no network; numbers out of the lesson
pages   the files
"""
