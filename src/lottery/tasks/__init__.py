"""What is trained and how it is measured: built in, or of the user's own code."""
