"""Language models behind one seam: endpoints, the embedded model, the scripted model."""
