"""Reports of the results that the stages left in the exp folder.

Imports neither torch nor transformers, so a report can be made on any machine.
"""
