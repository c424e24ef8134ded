"""What needs a package that is not always there: one file each, imported where it is used."""
