"""Lookup of classes by name: `discovery` finds the plugins of installed packages, and `registry`
loads them and the built-in classes."""
