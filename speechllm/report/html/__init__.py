"""The report as a folder of web pages that opens from disk: no network, no server.

One way through: families -> test sets and their systems -> columns of data -> scripts, clips, plots
and pages. What a transcript holds is data all the way: Jinja2 escapes it in pages, `scripts` in
scripts, and the browser puts it into text nodes only.
"""
