"""Data: Kaldi data dirs, audio, features, and what fills the speech slot."""
