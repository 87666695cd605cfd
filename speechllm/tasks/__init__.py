"""What the LLM is asked, what it answers, and how its answers are scored.

Imports neither torch nor transformers.
"""
