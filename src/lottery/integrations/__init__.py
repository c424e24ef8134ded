"""What needs a package that is not installed with lottery, one file each, imported when used."""
