"""Classes by name: `registry` has the built-in ones, `discovery` those of installed packages."""
