"""Error counts of each utterance: words, entities, phrases, intents."""
