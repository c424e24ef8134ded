"""Code that needs an optional package, one file each; imported only when it is used."""
