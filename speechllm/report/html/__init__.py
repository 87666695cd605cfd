"""Report as a folder of web pages that opens from disk: no network, no server.

Data flow: families -> test sets and their systems -> columns of data -> scripts, clips, plots and
pages. Transcripts are never markup or code: Jinja2 escapes them in pages, `scripts` in scripts, and
the browser puts them into text nodes only.
"""
