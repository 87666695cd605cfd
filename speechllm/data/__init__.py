"""Data dirs of Kaldi: their tables, checks, formats and audio. No torch model in here."""
