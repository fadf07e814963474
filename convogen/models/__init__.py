"""One interface to all language models, whether at an endpoint or embedded."""
