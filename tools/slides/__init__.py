"""Slides and sheets from the lessons.

source  a lesson as what can be shown of it: figures, drawings, formulas, questions
plan    instructor/slides/NN.toml: which of them, in which order, with the words of the speaker
words   Markdown to HTML, and numbers out of the lesson
tex     formulas, drawn by MathJax when the file is made
holes   drawings with boxes to fill in
pages   the files
"""
