"""The web pages: the viewer for runs, and studies with human participants."""
