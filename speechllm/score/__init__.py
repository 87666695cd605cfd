"""Scoring: normalisers, WER / CER / SER keyed by utterance, intervals, error listings.

Imports neither torch nor transformers, so that scoring works on any machine.
"""
