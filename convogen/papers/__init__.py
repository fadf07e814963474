"""The papers' tables and calculations, applied to runs; `convogen.published` has the papers'
numbers."""
