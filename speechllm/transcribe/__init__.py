"""Recordings in, transcripts out, with a packed model or a run's folder."""
