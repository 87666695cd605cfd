"""Errors by utterance: words, entities, phrases, meanings."""
