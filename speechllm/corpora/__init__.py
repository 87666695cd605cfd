"""Layouts of published corpora -> data dirs, a module each."""
