"""The web pages: the viewer of runs, and studies with people."""
