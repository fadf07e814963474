"""The pages of a study: participants', and the researcher's progress page."""
