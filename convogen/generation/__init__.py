"""What models are asked for before anybody talks, or after: experiences, labels, JSON."""
