"""Transcription of recordings with a packed model or the model of a run."""
