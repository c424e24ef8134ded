"""Several runs side by side: which method does better at which density, and how sure that is.

A method is what one run does to find its tickets; each is compared with the first one given.
"""
