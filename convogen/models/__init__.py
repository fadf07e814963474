"""Language models behind one interface, such as endpoints and the embedded model."""
