"""Language models behind one interface: endpoints, the embedded model, the scripted model."""
