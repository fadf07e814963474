"""Studies with people: what is asked, who is asked which pairs, and what the answers say."""
