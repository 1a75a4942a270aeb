"""Rows to usage: what a result costs, and whether it still fits a principal's budgets.

Pure: time comes in as seconds of a clock that never goes backward.
"""
