"""Studies with people: the questions, the assignment of pairs, and the analysis of answers."""
