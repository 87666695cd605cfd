"""Readers of published corpora, one module for each layout.

A reader gives `Utterance`s; `write_set` makes a data dir of them. The recipes' `local/` say what a
corpus is used for: which part trains, which is the target.
"""
