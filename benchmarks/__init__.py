"""What the README's speed figures come from; see README.md beside this file."""
