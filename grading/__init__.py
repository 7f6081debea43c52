"""Assignments and marks: make them from a lesson, and grade what is handed in.

`python -m grading` is the command. Learners' notebooks import `grading.sealed` alone,
which needs no more than the checks do.
"""
