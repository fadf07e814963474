"""Studies with people: their design, the assignment of pairs, and the analysis of answers."""
