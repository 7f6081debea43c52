"""Checks for the exercises: one module a lesson, each answering in three ways.

Not attempted yet, right (with what was tried), or wrong with the likely mistake named.
"""
