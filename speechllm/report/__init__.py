"""Reports made from what the stages left in the exp folder.

Imports neither torch nor transformers, so that a report can be made on any machine.
"""
