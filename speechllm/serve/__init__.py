"""OpenAI's audio API over one model in memory, with a page to try it."""
