"""The pages of a study: participants' pages, and the researcher's progress page."""
