"""Readers of speech corpora as they are released, one module for each layout.

A reader gives `Utterance`s; `write_set` makes a data dir of them. What a corpus is used for (which
part trains, which is target) is said by the recipes' `local/`.
"""
