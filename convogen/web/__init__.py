"""The web pages: the viewer of runs and the study with people."""
