"""What adds to the scores of the beam search: language models, n-grams, CTC."""
