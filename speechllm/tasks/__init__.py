"""Tasks: the question to the LLM, its answers, and how they are scored.

Imports neither torch nor transformers.
"""
