"""The command line: verbs that parse, call and print.

Nothing heavy is imported before it is needed.
"""
