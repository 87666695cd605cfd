"""The server as clients see it: routes, requests, answers, the page."""
