"""What needs an optional dependency, one file each; none is imported before it is used."""
